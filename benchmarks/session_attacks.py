"""Generated attacks on the sessions of a service: on upload tokens, on results, on signed results and on webhooks."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx2
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from facepad.client import ResultVerifier, verify_result, verify_webhook
from facepad.errors import ResultError
from facepad.predict.predictor import Predictor
from facepad.service.app import create_app
from facepad.service.keys import add_key
from facepad.service.problems import Problem
from facepad.service.running import Running
from facepad.service.schemas import SessionRequest
from facepad.service.sessions import BegunChallenge, SessionRecord
from facepad.service.settings import Settings
from facepad.service.signing import RESULT_TYPE, add_signing_key
from facepad.service.webhooks import sign

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
SECRET = "s" * 40
RIVALS = 4
"""Number of simultaneous uses of a token or of a result in a race."""


@dataclass(frozen=True)
class Opened:
    """A session: its id and token, and after an upload its signed result."""

    id: str
    token: str
    reference: str
    signed: str = ""


@dataclass
class World:
    """A running service, and the sessions that the attacks use.

    Attributes:
        http: A client of the service.
        running: The parts of the service.
        picture: An image that the service can judge.
        keys: The API keys ``shop`` and ``bank``. All sessions belong to ``shop``.
        rng: The random numbers of the attacks.
        done: Sessions with a result.
        waiting: Sessions that wait for an upload.
        expired: Sessions whose token has expired.
        gone: Sessions whose result has expired.
    """

    http: httpx2.AsyncClient
    running: Running
    picture: bytes
    keys: Mapping[str, str]
    rng: Random
    done: list[Opened] = field(default_factory=list)
    waiting: list[Opened] = field(default_factory=list)
    expired: list[Opened] = field(default_factory=list)
    gone: list[Opened] = field(default_factory=list)

    async def open(self, **asked: Any) -> Opened:
        """Open a session through the service."""
        body = {"reference": f"account-{self.rng.randrange(10**6)}"} | asked
        response = await self.http.post("/v1/sessions", json=body, headers=bearer(self.keys["shop"]))
        given = response.raise_for_status().json()
        return Opened(given["id"], given["token"], body["reference"])

    async def open_past_limits(self, **asked: Any) -> tuple[SessionRecord, str]:
        """Open a session with values that a request may not have, such as an end within a second."""
        values = {
            "reference": "anna",
            "checks": ("passive",),
            "model": None,
            "policy": "all",
            "expires_in": 300,
        } | asked
        return await self.running.sessions.open(SessionRequest.model_construct(**values), "shop")

    async def upload(self, token: str, **query: str) -> bool:
        """Whether an upload with a token is accepted."""
        sent = await self.http.post("/v1/uploads", content=self.picture, headers=bearer(token), params=query)
        return sent.is_success

    async def finish(self, session: Opened) -> Opened:
        """Upload into a session, and fetch its result. The service must accept both."""
        assert await self.upload(session.token)
        fetched = await self.http.get(f"/v1/sessions/{session.id}", headers=bearer(self.keys["shop"]))
        return Opened(session.id, session.token, session.reference, fetched.raise_for_status().json()["signed"])

    @property
    def jwks(self) -> dict[str, Any]:
        """The public keys of the service."""
        assert self.running.signer is not None
        return self.running.signer.public_keys()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def altered(text: str, rng: Random) -> str:
    """The text with one character changed, left out, added or repeated, or with two exchanged."""
    place, letter = rng.randrange(len(text)), rng.choice(LETTERS)
    made = rng.choice(
        [
            text[:place] + letter + text[place + 1 :],
            text[:place] + text[place + 1 :],
            text[:place] + letter + text[place:],
            text[:place] + text[place:].swapcase(),
            text[::-1],
            text + text[: place + 1],
        ]
    )
    return made if made != text else letter + text


def believed(signed: str, jwks: Mapping[str, Any], reference: str, session: str) -> bool:
    """Whether the client accepts a signed result."""
    try:
        verify_result(signed, jwks, reference=reference, session=session)
    except ResultError:
        return False
    return True


# Each attack returns the number of times that it was accepted.


async def replayed_token(world: World) -> int:
    """The token of a session that has its result."""
    return await world.upload(world.rng.choice(world.done).token)


async def altered_token(world: World) -> int:
    """A changed token of a session that waits."""
    return await world.upload(altered(world.rng.choice(world.waiting).token, world.rng))


async def confused_token(world: World) -> int:
    """Another secret in place of a token: a session's id, an API key, a signed result, nothing."""
    session = world.rng.choice(world.done)
    waiting = world.rng.choice(world.waiting)
    return await world.upload(
        world.rng.choice([waiting.id, session.id, *world.keys.values(), session.signed, "", "null"])
    )


async def expired_token(world: World) -> int:
    """A token after its end."""
    return await world.upload(world.rng.choice(world.expired).token)


async def raced_token(world: World) -> int:
    """Simultaneous uploads with one token. One of them is right."""
    session = await world.open()
    accepted = sum(await asyncio.gather(*(world.upload(session.token) for _ in range(RIVALS))))
    assert accepted >= 1
    return accepted - 1


async def downgraded_check(world: World) -> int:
    """A passive upload, or a clip before the challenge has begun, into a session that asks for an active check."""
    _, token = await world.open_past_limits(checks=("challenge",))
    return await world.upload(token, **world.rng.choice([{"check": "passive"}, {"check": "challenge"}, {}]))


async def redrawn_challenge(world: World) -> int:
    """Several challenges for one session, at the same time or one after the other."""
    record, _ = await world.open_past_limits(checks=("challenge",))
    begun = await asyncio.gather(*(world.running.sessions.begin_challenge(record) for _ in range(RIVALS)))
    begun.append(await world.running.sessions.begin_challenge(record))
    return len({one.challenge for one in begun}) - 1


async def late_challenge(world: World) -> int:
    """A clip after the end of the challenge, or a new challenge then."""
    record, _ = await world.open_past_limits(checks=("challenge",))
    over = BegunChallenge(challenge='["turn_left", "come_closer"]', until=time.time() - world.rng.random())
    await world.running.store.challenges.put(record.id, over.model_dump_json(), 60)
    late = world.rng.choice([world.running.sessions.challenge_of, world.running.sessions.begin_challenge])
    try:
        await late(record)
    except Problem:
        return 0
    return 1


async def stolen_result(world: World) -> int:
    """A result, fetched with another key, with the token, without a key, or under a changed id."""
    session = world.rng.choice(world.done)
    bank, shop = world.keys["bank"], world.keys["shop"]
    name, key = world.rng.choice(
        [
            (session.id, bank),
            (session.id, session.token),
            (session.id, altered(shop, world.rng)),
            (session.id, ""),
            (altered(session.id, world.rng), shop),
            (session.token, shop),
        ]
    )
    return (await world.http.get(f"/v1/sessions/{name}", headers=bearer(key) if key else {})).is_success


async def late_result(world: World) -> int:
    """A result after its end."""
    session = world.rng.choice(world.gone)
    fetched = await world.http.get(f"/v1/sessions/{session.id}", headers=bearer(world.keys["shop"]))
    return fetched.is_success


async def altered_result(world: World) -> int:
    """A signed result with changed characters, or with other claims under the old signature."""
    session = world.rng.choice(world.done)
    head, body, signature = session.signed.split(".")
    if world.rng.random() < 0.5:
        changed = altered(session.signed, world.rng)
    else:
        claims = json.loads(base64.urlsafe_b64decode(body + "=="))
        wrong = {"label": "live", "score": world.rng.random(), "sub": "other", "exp": claims["exp"] + 900, "jti": "x"}
        name = world.rng.choice(list(wrong))
        text = json.dumps(claims | {name: wrong[name]}).encode()
        changed = f"{head}.{base64.urlsafe_b64encode(text).rstrip(b'=').decode()}.{signature}"
    return believed(changed, world.jwks, session.reference, session.id)


async def foreign_result(world: World) -> int:
    """The result of another session or reference."""
    session, other = world.rng.sample(world.done, 2)
    expected = world.rng.choice([(session.reference, other.id), (other.reference, session.id), ("", session.id)])
    return believed(session.signed, world.jwks, *expected)


async def forged_result(world: World) -> int:
    """A result that another key has signed, or none, or the public key as a shared secret."""
    session, key = world.rng.choice(world.done), Ed25519PrivateKey.generate()
    claims = jwt.decode(session.signed, options={"verify_signature": False})
    (public,) = world.jwks["keys"]
    header = {"kid": world.rng.choice([public["kid"], "", "other"]), "typ": RESULT_TYPE}
    own = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(key.public_key()))
    shared = base64.urlsafe_b64decode(public["x"] + "=")
    forged = world.rng.choice(
        [
            lambda: jwt.encode(claims, key, algorithm="EdDSA", headers=header),
            lambda: jwt.encode(claims, key, algorithm="EdDSA", headers=header | {"jwk": own}),
            lambda: jwt.encode(claims, shared, algorithm="HS256", headers=header),
            lambda: jwt.encode(claims, None, algorithm="none", headers=header),
        ]
    )()
    return believed(forged, world.jwks, session.reference, session.id)


async def expired_result(world: World) -> int:
    """A result after its end, or from the future, or without an end, or of another service."""
    session = world.rng.choice(world.done)
    signer = world.running.signer
    assert signer is not None
    claims = jwt.decode(session.signed, options={"verify_signature": False})
    past = time.time() - world.rng.uniform(11, 10**6)
    changes: Mapping[str, Any] = world.rng.choice(
        [{"exp": int(past)}, {"iat": int(time.time() + world.rng.uniform(20, 10**6))}, {"exp": None}, {"iss": "other"}]
    )
    signed = signer.sign({name: value for name, value in (claims | changes).items() if value is not None})
    return believed(signed, world.jwks, session.reference, session.id)


async def replayed_result(world: World) -> int:
    """A result that is accepted again, one after the other and at the same time. One of them is right."""
    session, verifier = world.rng.choice(world.done), ResultVerifier()
    verifier.use_keys(world.jwks)

    def accepted(_: int) -> bool:
        try:
            verifier.accept(session.signed, reference=session.reference, session=session.id)
        except ResultError:
            return False
        return True

    with ThreadPoolExecutor(RIVALS) as pool:
        together = sum(pool.map(accepted, range(RIVALS)))
    assert together >= 1
    return together - 1 + accepted(0)


async def forged_webhook(world: World) -> int:
    """A webhook with a changed body, signature or time, of another secret, or sent again later."""
    now, rng = time.time(), world.rng
    body = json.dumps({"session": "s1", "reference": "anna", "state": "done", "key": "shop"}).encode()
    right = sign(body, SECRET, now)
    wrong = rng.choice(
        [
            (body.replace(b"done", b"failed"), right),
            (body, altered(right, rng)),
            (body, sign(body, altered(SECRET, rng), now)),
            (body, sign(body, SECRET, now - rng.uniform(302, 10**6))),
            (body, right.replace(f"t={int(now)}", f"t={int(now) + rng.randrange(1, 300)}")),
        ]
    )
    try:
        verify_webhook(*wrong, SECRET)
    except ResultError:
        return 0
    return 1


ATTACKS: tuple[Callable[[World], Awaitable[int]], ...] = (
    replayed_token,
    altered_token,
    confused_token,
    expired_token,
    raced_token,
    downgraded_check,
    redrawn_challenge,
    late_challenge,
    stolen_result,
    late_result,
    altered_result,
    foreign_result,
    forged_result,
    expired_result,
    replayed_result,
    forged_webhook,
)
"""The attacks. Each has its description as the docstring."""


async def attack(
    predictor: Predictor, picture: bytes, folder: Path, cases: int, *, seed: int = 0, store: str | None = None
) -> list[tuple[str, int, int]]:
    """Make a number of generated attacks on a service in this process.

    Args:
        predictor: The model of the service.
        picture: An image that the service can judge.
        folder: A folder for the files of the keys.
        cases: Number of attacks of all kinds together.
        seed: Seed of the attacks.
        store: Address of a Redis server; None for a store in memory.

    Returns:
        For each kind of attack: the description, the number of attacks, and how often one was accepted.
    """
    keys = {name: add_key(folder / "keys.txt", name) for name in ("shop", "bank")}
    add_signing_key(folder / "signing.json")
    settings = Settings(
        api_keys=folder / "keys.txt", signing_keys=folder / "signing.json", rate=0, attempts=0, timeout=60, store=store
    )
    app = create_app(settings, predictor)
    made: Counter[str] = Counter()
    accepted: Counter[str] = Counter()
    transport = httpx2.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://localhost", timeout=60) as http,
    ):
        world = World(http, app.state.running, picture, keys, Random(seed))
        await _prepare(world)
        for number in range(cases):
            kind = ATTACKS[number % len(ATTACKS)]
            name = (kind.__doc__ or "").strip()
            made[name] += 1
            accepted[name] += await kind(world)
        for session in world.waiting:  # What is right is still accepted after all attacks.
            done = await world.finish(session)
            assert believed(done.signed, world.jwks, done.reference, done.id)
    return [(name, made[name], accepted[name]) for name in made]


async def _prepare(world: World) -> None:
    """Open the sessions that the attacks use."""
    for _ in range(8):
        world.done.append(await world.finish(await world.open()))
        world.waiting.append(await world.open(expires_in=3600))
        record, token = await world.open_past_limits(expires_in=1)
        world.expired.append(Opened(record.id, token, "anna"))
        finished = await world.finish(await world.open())
        world.gone.append(finished)
        record = await world.running.sessions.of_id(finished.id, "shop")
        await world.running.sessions.save(record.model_copy(update={"until": time.time() + 0.2}))
    await asyncio.sleep(1.1)
