"""The published claims that can be run. Each has its criterion before any run."""

from jaxrnn.problems import claims_linear, claims_long_lag
from jaxrnn.problems.claim import Claim

CLAIMS: dict[str, Claim] = {
    claim.name: claim for claim in (*claims_long_lag.CLAIMS, *claims_linear.CLAIMS)
}

SUITES = tuple(suite for claim in CLAIMS.values() for suite in claim.suites)
