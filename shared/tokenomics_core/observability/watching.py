"""Watch spending: anomalies and their drivers, alerts, the month's forecast, and trends."""

from tokenomics_core.observability._alerts import ALERT_SHARES, LogAlerts, WebhookAlerts, alert_body
from tokenomics_core.observability._anomaly import Anomaly
from tokenomics_core.observability._anomaly_drivers import DRIVERS, CostChange, explain_change
from tokenomics_core.observability._anomaly_ledger import WatchedLedger, watched
from tokenomics_core.observability._anomaly_rules import WatchRules
from tokenomics_core.observability._anomaly_sums import CallSums
from tokenomics_core.observability._anomaly_watch import AnomalyWatch
from tokenomics_core.observability._forecast import BudgetOutlook, Forecast, forecast_days, forecast_month
from tokenomics_core.observability._trend import Trend, TrendLine, UnitCost, compare_periods

__all__ = [
    "ALERT_SHARES",
    "DRIVERS",
    "Anomaly",
    "AnomalyWatch",
    "BudgetOutlook",
    "CallSums",
    "CostChange",
    "Forecast",
    "LogAlerts",
    "Trend",
    "TrendLine",
    "UnitCost",
    "WatchRules",
    "WatchedLedger",
    "WebhookAlerts",
    "alert_body",
    "compare_periods",
    "explain_change",
    "forecast_days",
    "forecast_month",
    "watched",
]
