"""Off-policy evaluation: estimates of what other routers would have scored, from logs with one score per prompt."""

from recroute.offpolicy.experiment import off_policy
from recroute.offpolicy.logs import Logs, read_logs
from recroute.offpolicy.policy import choice_probabilities
from recroute.offpolicy.result import OffPolicy
from recroute.offpolicy.simulate import simulate_logs

__all__ = ["Logs", "OffPolicy", "choice_probabilities", "off_policy", "read_logs", "simulate_logs"]
