"""What operators may say about deliveries, and that a mistake is told before anything is served."""

import pytest

from jobyard_server import main
from jobyard_server.apis.registration import Options
from jobyard_server.settings import SettingsError, load


async def built(tmp_path, **settings):
    parts = main.build(load(database=f"sqlite:///{tmp_path}/x.db", **settings))
    await parts.peers.close()
    return parts


async def test_policies_are_changed_in_the_parts_that_are_named(tmp_path):
    settings = load(delivery_policies={"jobs.webhook": {"attempts": 3, "max_wait": 5}})
    policy = main._kinds(settings, Options())["jobs", "webhook"].policies[""]
    usual = main._kinds(load(), Options())["jobs", "webhook"].policies[""]
    assert (policy.attempts, policy.max_wait) == (3, 5)
    assert (policy.first_wait, policy.timeout, policy.max_age) == (usual.first_wait, usual.timeout, usual.max_age)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"delivery_policies": {"jobs.webhok": {}}}, r"jobs\.webhok is none of .*jobs\.webhook"),
        ({"outbound_allow": "10.0.0.0/99"}, "outbound_allow: '10.0.0.0/99' is neither a network"),
    ],
)
async def test_a_mistake_is_told_before_anything_is_served(tmp_path, settings, words):
    with pytest.raises(SettingsError, match=words):
        await built(tmp_path, **settings)


@pytest.mark.parametrize(
    "policy", [{"attempts": -1}, {"timeout": 0}, {"jitter": 2}, {"multiplier": 0.5}, {"atempts": 1}]
)
def test_policies_that_mean_nothing_are_refused(policy):
    with pytest.raises(SettingsError, match="delivery_policies"):
        load(delivery_policies={"jobs.webhook": policy})
