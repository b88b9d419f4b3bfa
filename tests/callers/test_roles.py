"""What roles allow."""

import pytest

from jobyard_server.callers.roles import RoleError, Roles

KNOWN = frozenset({"jobs.read", "jobs.submit", "jobshop.read", "work"})


def test_roles_add_up():
    roles = Roles({"reader": frozenset({"jobs.read"}), "worker": frozenset({"work"})}, KNOWN)
    assert roles.permissions(["reader", "worker"]) == {"jobs.read", "work"}
    assert roles.permissions([]) == frozenset()


def test_an_area_stands_for_all_that_is_in_it():
    assert Roles({"any": frozenset({"jobs.*"})}, KNOWN).permissions(["any"]) == {"jobs.read", "jobs.submit"}


def test_admin_may_do_everything_unless_it_is_said_otherwise():
    assert Roles({}, KNOWN).permissions(["admin"]) == {"*"}
    assert Roles({"admin": frozenset({"work"})}, KNOWN).permissions(["admin"]) == {"work"}


@pytest.mark.parametrize("name", ["jobs.raed", "nothing.*", "", "jobs."])
def test_a_permission_that_no_method_asks_for_is_a_mistake(name):
    with pytest.raises(RoleError, match=r"there are jobs\.read, jobs\.submit"):
        Roles({"typo": frozenset({name})}, KNOWN)


def test_a_role_that_does_not_exist_is_a_mistake():
    with pytest.raises(RoleError, match="there is no role 'boss'; there are admin"):
        Roles({}, KNOWN).permissions(["boss"])
