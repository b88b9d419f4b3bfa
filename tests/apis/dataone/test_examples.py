"""The examples of Data One load as they are, and their jobs can be submitted."""

from pathlib import Path

import pytest
import yaml

from apis.dataone.yard import Yard

EXAMPLES = Path(__file__).parents[3] / "examples" / "dataone"
FILES = sorted(EXAMPLES.glob("*.yaml"))


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    found = Yard(tmp_path_factory.mktemp("examples"), users={"alice": {"roles": ["Administrators"]}})
    found.start()
    try:
        for file in FILES:
            found.apply_file(file)
        yield found
    finally:
        found.stop()


def contracts() -> list[dict]:
    documents = yaml.safe_load_all((EXAMPLES / "contracts.yaml").read_text())
    return [document["definition"] for document in documents]


@pytest.mark.parametrize(
    ("contract", "action"), [(each, action) for each in contracts() for action in each["spec"]["actions"]]
)
def test_an_action_can_be_submitted_if_it_says_so(loaded, contract, action):
    answer = loaded.submit(contractName=contract["id"], actionName=action["name"])
    if contract.get("disabled"):
        assert "disabled" in answer.json["error"]["message"]
    elif action["trigger"] != "OnDemand":
        assert "trigger" in answer.json["error"]["message"]
    else:
        assert (answer.status, answer.json["queue"]) == (201, contract["queue"])


def test_every_queue_of_a_contract_is_there():
    queues = [each["queue"]["name"] for each in yaml.safe_load_all((EXAMPLES / "queues.yaml").read_text())]
    assert {each["queue"] for each in contracts()} <= set(queues)
    assert len(queues) == len(set(queues))
