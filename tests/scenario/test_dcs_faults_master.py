"""Operations on Redis instances whose master dies meanwhile, at every step."""
from dcs_faults import FaultCase


class MasterDies(FaultCase):
    def test_at_every_step(self):
        self.every_operation("master")
