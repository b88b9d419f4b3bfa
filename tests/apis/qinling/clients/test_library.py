"""Programs over the real library."""

from pathlib import Path


def test_the_whole_life_of_a_function_and_a_job(clients):
    program = Path(__file__).with_name("whole_life.py")
    packages = clients.package("one"), clients.package("two", "Goodbye")
    assert clients.program(program, *(str(path) for path in packages)) == "lived\n"
