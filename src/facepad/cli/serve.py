"""facepad serve and api-key: the HTTP service, and who may call it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facepad.cli.app import DetectorOption, ModelOption, app, say, show

if TYPE_CHECKING:
    from facepad.modelfile.bundle import Bundle

_MB = 1024 * 1024


@app.command(epilog="Example: facepad serve --model liveness.facepad --host 0.0.0.0 --api-keys keys.txt")
def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on; other than loopback needs --api-keys.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
    model: ModelOption = None,
    detector: DetectorOption = None,
    api_keys: Annotated[Path | None, typer.Option(help="File of hashed keys; read again when it changes.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes; more than one needs --store.")] = 1,
    store: Annotated[
        str | None,
        typer.Option(envvar="FACEPAD_STORE", help="Redis server that workers share, such as redis://127.0.0.1:6379/0."),
    ] = None,
    rate: Annotated[int, typer.Option(min=0, help="Requests a minute of one caller; 0: no limit.")] = 600,
    queue: Annotated[int, typer.Option(min=1, help="Requests judged at once by a worker; more get 429.")] = 64,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds that a request may take.")] = 10,
    max_mb: Annotated[int, typer.Option(min=1, help="Megabytes of a request.")] = 32,
    challenges: Annotated[
        bool, typer.Option("--challenges", help="Offer the active check; needs the models of YuNet and the face mesh.")
    ] = False,
    cors: Annotated[
        list[str] | None,
        typer.Option(metavar="ORIGIN", help="Page elsewhere that may call, such as https://a.example."),
    ] = None,
) -> None:
    """Serve liveness checks over HTTP, with a web page, until Ctrl-C."""
    from facepad.service.server import serve as run
    from facepad.service.settings import Settings

    settings = Settings(
        host=host,
        port=port,
        model=model,
        detector=detector,
        api_keys=api_keys,
        workers=workers,
        store=store,
        challenges=challenges,
        rate=rate,
        queue=queue,
        timeout=timeout,
        max_bytes=max_mb * _MB,
        cors=tuple(cors or ()),
    )
    run(settings, started=_say_what_serves)


def _say_what_serves(address: str, model: Bundle) -> None:
    described = model.description
    if described.scope:
        say(described.scope)
    say(f"model {described.name}, SHA-256 {model.sha256 or 'none (a run folder, or a described network)'}")
    say(f"serving on {address} (Ctrl-C stops)")


@app.command("api-key", epilog="Example: facepad api-key login-service keys.txt")
def api_key(
    name: Annotated[str, typer.Argument(help="Who will use it; stands in the log.", show_default=False)],
    file: Annotated[Path, typer.Argument(help="File of keys; made if it is not there.", show_default=False)],
) -> None:
    """Add a key to a file of API keys, and show it: only its hash is kept."""
    from facepad.service.keys import add_key

    show(add_key(file, name))
    say(f"added {name} to {file}; the key above is shown this once")
