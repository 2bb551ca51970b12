"""Watch spending: anomalies and their drivers, alerts, the month's forecast, and trends."""

from tokenomics_core.observability._alerts import ALERT_SHARES, LogAlerts, WebhookAlerts, alert_body
from tokenomics_core.observability._anomaly import Anomaly
from tokenomics_core.observability._anomaly_drivers import DRIVERS, CostChange, explain_change
from tokenomics_core.observability._anomaly_ledger import WatchedLedger, watched
from tokenomics_core.observability._anomaly_rules import WatchRules
from tokenomics_core.observability._anomaly_sums import CallSums
from tokenomics_core.observability._anomaly_watch import AnomalyWatch

__all__ = [
    "ALERT_SHARES",
    "DRIVERS",
    "Anomaly",
    "AnomalyWatch",
    "CallSums",
    "CostChange",
    "LogAlerts",
    "WatchRules",
    "WatchedLedger",
    "WebhookAlerts",
    "alert_body",
    "explain_change",
    "watched",
]
