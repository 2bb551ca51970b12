"""Every way to judge an answer; all speak one protocol, so a cascade takes any of them."""

from tokenomics_core.routing._acceptor import AnswerAcceptor
from tokenomics_core.routing._acceptor_fit import AcceptorReport
from tokenomics_core.routing._acceptors import AgreementAcceptor, FunctionAcceptor, LLMJudge
from tokenomics_core.routing._arithmetic import check_equations
from tokenomics_core.routing._protocols import Acceptor, Answer, Judge, Judgement

__all__ = [
    "Acceptor",
    "AcceptorReport",
    "AgreementAcceptor",
    "Answer",
    "AnswerAcceptor",
    "FunctionAcceptor",
    "Judge",
    "Judgement",
    "LLMJudge",
    "check_equations",
]
