"""facepad serve, api-key and signing-key: the HTTP service, and its keys."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facepad.cli.app import (
    DetectorOption,
    FacesOption,
    ModelOption,
    QualityOption,
    ThresholdOption,
    app,
    say,
    say_terms,
    show,
)

if TYPE_CHECKING:
    from facepad.modelfile.bundle import Bundle

_MB = 1024 * 1024


@app.command(epilog="Example: facepad serve --model liveness.facepad --host 0.0.0.0 --api-keys keys.txt")
def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on; an address that is not loopback needs --api-keys.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free port.")] = 8000,
    model: ModelOption = None,
    allow_undecided: Annotated[
        bool, typer.Option("--allow-undecided", help="Serve a model without a threshold: scores, but no decisions.")
    ] = False,
    detector: DetectorOption = None,
    quality: QualityOption = "",
    faces: FacesOption = "largest",
    threshold: ThresholdOption = None,
    api_keys: Annotated[Path | None, typer.Option(help="File of hashed API keys; read again after a change.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes; more than one process needs --store.")] = 1,
    store: Annotated[
        str | None,
        typer.Option(envvar="FACEPAD_STORE", help="Redis server that workers share, such as redis://127.0.0.1:6379/0."),
    ] = None,
    rate: Annotated[int, typer.Option(min=0, help="Rate limit: requests per minute and caller; 0: no limit.")] = 600,
    signing_keys: Annotated[
        Path | None, typer.Option(help="File of the keys that sign results (facepad signing-key makes it).")
    ] = None,
    issuer: Annotated[str, typer.Option(help="Name of the service in signed results.")] = "facepad",
    decision_log: Annotated[
        Path | None, typer.Option(help="File to which each decision is appended as JSON, without pictures.")
    ] = None,
    webhook: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Backend to tell when a session ends or expires; needs --webhook-secret."),
    ] = None,
    webhook_secret: Annotated[
        Path | None, typer.Option(help="File with the secret that signs webhooks, of 32 random characters or more.")
    ] = None,
    attempts: Annotated[
        int, typer.Option(min=0, help="Limit of sessions per hour for one reference of a key; 0: no limit.")
    ] = 20,
    queue: Annotated[
        int, typer.Option(min=1, help="Places for requests in a worker, which callers share; without a place: 429.")
    ] = 64,
    timeout: Annotated[float, typer.Option(min=0.1, max=3600, help="Timeout of a request in seconds.")] = 10,
    max_mb: Annotated[int, typer.Option(min=1, help="Maximum size of a request in megabytes.")] = 32,
    challenges: Annotated[
        bool, typer.Option("--challenges", help="Offer the active check; needs the models of YuNet and the face mesh.")
    ] = False,
    cors: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ORIGIN",
            help="Origin of web pages that may call the service and embed its widget (CORS), such as https://a.example.",
        ),
    ] = None,
) -> None:
    """Serve liveness checks over HTTP, with a web page, until Ctrl-C."""
    from facepad.faces.quality import Quality
    from facepad.service.server import serve as run
    from facepad.service.settings import Settings

    settings = Settings.of(
        host=host,
        port=port,
        model=model,
        allow_undecided=allow_undecided,
        detector=detector,
        quality=Quality.parse(quality),
        faces=faces,
        threshold=threshold,
        api_keys=api_keys,
        workers=workers,
        store=store,
        challenges=challenges,
        rate=rate,
        signing_keys=signing_keys,
        issuer=issuer,
        decision_log=decision_log,
        webhook=webhook,
        webhook_secret=webhook_secret,
        attempts=attempts,
        queue=queue,
        timeout=timeout,
        max_bytes=max_mb * _MB,
        cors=tuple(cors or ()),
    )
    run(settings, started=_announce)


def _announce(address: str, model: Bundle) -> None:
    described = model.description
    say_terms(model)
    say(f"model {described.name}, SHA-256 {model.digest}")
    say(f"serving on {address} (Ctrl-C stops)")


@app.command("api-key", epilog="Example: facepad api-key login-service keys.txt")
def api_key(
    name: Annotated[str, typer.Argument(help="Name of the caller, for the log.", show_default=False)],
    file: Annotated[Path, typer.Argument(help="File of keys; created if it is missing.", show_default=False)],
    expires: Annotated[
        datetime | None, typer.Option(metavar="DAY", formats=["%Y-%m-%d"], help="Last day of the key (UTC).")
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(help="Use of the key: liveness, sessions or metrics; can be repeated. Default: everything."),
    ] = None,
    challenge_only: Annotated[
        bool, typer.Option("--challenge-only", help="The key's sessions must all be active checks.")
    ] = False,
) -> None:
    """Add a new API key to a file of keys, and print the key. The file holds only the hash of the key."""
    from facepad.service.keys import KeyLimits, add_key

    limits = KeyLimits.of(expires.date() if expires else None, scope or (), challenge_only=challenge_only)
    show(add_key(file, name, limits))
    say(f"added {name} to {file}; the key above is not shown again")


@app.command("signing-key", epilog="Example: facepad signing-key signing.json")
def signing_key(
    file: Annotated[Path, typer.Argument(help="File of signing keys; created if it is missing.", show_default=False)],
) -> None:
    """Add a new key that signs results, and keep the key before it. The new key signs after five minutes."""
    from facepad.service.signing import add_signing_key

    say(f"added the key {add_signing_key(file)} to {file}")
