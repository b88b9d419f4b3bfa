"""The function of the example."""


def main(name: str = "World") -> str:
    """Greet somebody; what is printed is the log, what is returned the output."""
    print("greeting", name)
    return f"Hello, {name}"
