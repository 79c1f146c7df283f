"""Operations on Redis instances whose own process dies, at every step."""
from dcs_faults import FaultCase


class ChildDies(FaultCase):
    def test_at_every_step(self):
        self.every_operation("child")
