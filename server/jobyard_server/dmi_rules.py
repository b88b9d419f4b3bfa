"""How DMI services are called, as the settings have it."""

from __future__ import annotations

from jobyard_server.apis.registration import DmiRules
from jobyard_server.outbound.token_file import TokenFile
from jobyard_server.settings import Settings


def dmi_rules(settings: Settings) -> DmiRules:
    """What the settings say."""
    forward = settings.dmi_forward_bearer
    return DmiRules(
        basic=TokenFile(settings.dmi_credentials_file).token,
        # A token that opens this server is shown to nobody unless an operator says so.
        forward_bearer=not settings.guarded if forward is None else forward,
        url_pattern=settings.dmi_url_pattern,
        first_generation=settings.dmi_first_generation,
        wait_seconds=settings.dmi_wait_seconds,
        poll_seconds=settings.dmi_poll_seconds,
        longest_poll_seconds=settings.dmi_longest_poll_seconds,
    )
