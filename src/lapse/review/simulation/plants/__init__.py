"""Anomalies that are planted into a simulated world, each with its label: every detector has some. And decoys."""

from __future__ import annotations

from lapse.review.simulation.parts import Parts
from lapse.review.simulation.plants.access import plant_access
from lapse.review.simulation.plants.approvals import plant_approvals
from lapse.review.simulation.plants.casting import Casting
from lapse.review.simulation.plants.decoys import plant_decoys
from lapse.review.simulation.plants.emergencies import plant_emergencies
from lapse.review.simulation.plants.graded import plant_graded
from lapse.review.simulation.plants.grants import plant_grants
from lapse.review.simulation.plants.habits import plant_habits
from lapse.review.simulation.plants.people import plant_people
from lapse.review.simulation.plants.powers import plant_powers
from lapse.review.simulation.plants.purposes import plant_purposes
from lapse.review.simulation.plants.records import plant_records
from lapse.review.simulation.plants.reviews import plant_reviews
from lapse.review.simulation.plants.rules import plant_rules


def plant_all(parts: Parts) -> None:
    """Plan every anomaly, each as often as the size of the world allows.

    Long stories come first, since they need people of their own.
    """
    casting = Casting(parts)
    plant_graded(casting)
    plant_records(casting)
    plant_habits(casting)
    plant_people(casting)
    plant_emergencies(casting)
    plant_rules(casting)
    plant_reviews(casting)
    plant_powers(casting)
    plant_access(casting)
    plant_approvals(casting)
    plant_purposes(casting)
    plant_grants(casting)
    plant_decoys(casting)
