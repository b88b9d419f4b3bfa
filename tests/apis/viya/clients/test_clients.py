"""Whole lives of definitions and jobs over the real clients, and the manners of administration scripts."""


def test_sasctl(clients):
    assert clients.python("sasctl_life.py") == {
        "stale": 412,
        "state": "completed",
        "results": {"report.txt": "/files/Ada"},
        "log": "age 10 name Ada\n",
        "pages": 25,
        "kept": "completed",
        "canceled": ["canceled", 405],
    }


def test_restaf(clients):
    assert clients.node("restaf_life.js") == {
        "description": "new",
        "stale": 412,
        "state": "completed",
        "results": {"report.txt": "/files/Grace"},
        "log": "hello Grace\n",
        "pages": 25,
        "canceled": ["canceled", 404],
    }


def test_administration_scripts(clients):
    assert clients.python("scripts_life.py") == {"changed": 5, "left": 0, "deleted": 5}
