"""Operations on Redis instances of which a replica dies meanwhile, at every step."""
from dcs_faults import FaultCase


class ReplicaDies(FaultCase):
    def test_at_every_step(self):
        self.every_operation("replica")
