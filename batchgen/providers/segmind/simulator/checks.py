"""What the API refuses before it accepts anything: key, body, model, parameters, money."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from batchgen.core.catalog.model import Model, Parameter, ParameterType
from batchgen.core.common.json import canonical_json
from batchgen.core.jobs.spec import Mode
from batchgen.providers.segmind.simulator import answers
from batchgen.providers.segmind.simulator.answers import error_reply
from batchgen.providers.segmind.simulator.config import SimulatorConfig
from batchgen.providers.segmind.simulator.messages import ApiRefusal, ReceivedRequest

_KEY = re.compile(r"SG_[0-9a-fA-F]{16}")

_PYTHON_TYPES: Mapping[ParameterType, tuple[type, ...]] = {
    ParameterType.STRING: (str,),
    ParameterType.URI: (str,),
    ParameterType.INTEGER: (int,),
    ParameterType.NUMBER: (int, float),
    ParameterType.BOOLEAN: (bool,),
    ParameterType.ANY: (object,),
}


def check_key(config: SimulatorConfig, request: ReceivedRequest) -> None:
    """Refuse (401) a missing key, and with other words a malformed or unknown one."""
    key = request.headers.get("x-api-key", "")
    if not key:
        raise ApiRefusal(error_reply(401, answers.NO_KEY))
    if not _KEY.fullmatch(key) or (config.keys and key not in config.keys):
        raise ApiRefusal(error_reply(401, answers.BAD_KEY))


@dataclass(frozen=True, slots=True)
class JsonBody:
    """A JSON object, read and as canonical text."""

    params: Mapping[str, Any]
    text: str


def read_object(request: ReceivedRequest) -> JsonBody:
    """The body as a JSON object; refuses a wrong content type (406) and anything else (400)."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != answers.JSON:
        raise ApiRefusal(error_reply(406, answers.WRONG_TYPE))
    try:
        value = _DECODER.decode(request.body.decode("utf-8"))
        text = canonical_json(value)
    except (ValueError, RecursionError) as error:
        raise ApiRefusal(error_reply(400, f"Malformed JSON: {error}")) from error
    if not isinstance(value, dict):
        raise ApiRefusal(error_reply(400, "Malformed body: a JSON object is expected"))
    return JsonBody(value, text)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def check_model(config: SimulatorConfig, slug: str, *, known: bool) -> None:
    """Refuse a model that is retired (410), forbidden (403) or unknown (404)."""
    if slug in config.retired_models:
        raise ApiRefusal(error_reply(410, answers.RETIRED))
    if slug in config.forbidden_models:
        raise ApiRefusal(error_reply(403, answers.FORBIDDEN))
    configured = slug in config.extra_models or slug in config.models
    if not (known or configured or config.unknown_models == "accept"):
        raise ApiRefusal(error_reply(404, answers.UNKNOWN_MODEL))


@dataclass(frozen=True, slots=True)
class Account:
    """Money at an instant, in USD: left, reserved by running jobs beside their prices, spent."""

    left_usd: float
    reserved_usd: float
    spent_usd: float


def check_money(config: SimulatorConfig, account: Account, price_usd: float, api: Mode) -> None:
    """Refuse (402 or 406) when the account or the team's limit does not cover one more job."""
    needed_usd = price_usd * (1 + config.reserved_share)
    if account.left_usd - account.reserved_usd < needed_usd:
        status = config.credits_status if api is Mode.QUEUED else config.credits_status_v1
        raise ApiRefusal(error_reply(status, answers.no_credits(account.left_usd)))
    limit_usd = config.spend_limit_usd
    if limit_usd is not None and account.spent_usd + price_usd > limit_usd:
        raise ApiRefusal(error_reply(406, answers.SPEND_LIMIT))


class ParameterRefusal(ApiRefusal):
    """A parameter the service says no to; `message` is its reason."""

    def __init__(self, status: int, message: str) -> None:
        self.message = message
        super().__init__(error_reply(status, message))


def check_params(model: Model | None, params: Mapping[str, Any]) -> None:
    """Refuse what the catalogue rules out: missing or of a wrong type (400), a bad value (406).

    Raises `ParameterRefusal`.
    """
    # What only the service's list says of a model may be wrong.
    known = model.parameters.values() if model and not model.is_third_hand else ()
    for parameter in known:
        if parameter.name not in params:
            if parameter.required:
                raise ParameterRefusal(400, f"Missing required parameter: {parameter.name}")
            continue
        value = params[parameter.name]
        if value is None or (parameter.has_default and value == parameter.default):
            continue
        _check_type(parameter, value)
        if problem := _value_problem(parameter, value):
            raise ParameterRefusal(406, f"Parameter value refused: {parameter.name} {problem}")


def _check_type(parameter: Parameter, value: Any) -> None:
    is_bool = isinstance(value, bool) and parameter.type is not ParameterType.BOOLEAN
    if is_bool or not isinstance(value, _PYTHON_TYPES[parameter.type]):
        message = f"Parameter {parameter.name} must be of type {parameter.type}"
        raise ParameterRefusal(400, message)


def _value_problem(parameter: Parameter, value: Any) -> str:
    """Ranges that only a text tells of and lists that are shown cut refuse nothing."""
    if parameter.allowed and not parameter.allowed_is_cut and value not in parameter.allowed:
        return f"must be one of {', '.join(map(str, parameter.allowed))}"
    if isinstance(value, str) or parameter.range_is_told:
        return ""
    if parameter.minimum is not None and value < parameter.minimum:
        return f"must be at least {parameter.minimum:g}"
    if parameter.maximum is not None and value > parameter.maximum:
        return f"must be at most {parameter.maximum:g}"
    return ""
