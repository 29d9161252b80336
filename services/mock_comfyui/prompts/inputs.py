"""Checks one input of a node; what is found is told as the real server tells it."""

from typing import Any

from services.mock_comfyui.prompts.nodes import ANY, Input

Mistake = dict[str, Any]
# Of more choices than this only the number is told.
_MOST_CHOICES = 20


def mistake(kind: str, message: str, details: str, **extra: Any) -> Mistake:
    return {"type": kind, "message": message, "details": details, "extra_info": extra}


def missing(name: str) -> Mistake:
    return mistake("required_input_missing", "Required input is missing", name, input_name=name)


def bad_link(name: str, wanted: Input, value: object) -> Mistake:
    return mistake(
        "bad_linked_input",
        "Bad linked input, must be a length-2 list of [node_id, slot_index]",
        name,
        input_name=name,
        input_config=wanted.shown,
        received_value=value,
    )


def wrong_type(name: str, wanted: Input, received: str, link: list[Any]) -> Mistake:
    return mistake(
        "return_type_mismatch",
        "Return type mismatch between linked nodes",
        f"{name}, received_type({received}) mismatch input_type({wanted.kind})",
        input_name=name,
        input_config=wanted.shown,
        received_type=received,
        linked_node=link,
    )


def no_such_picture(name: str, value: object) -> Mistake:
    return mistake(
        "custom_validation_failed",
        "Custom validation failed for node",
        f"{name} - Invalid image file: {value}",
        input_name=name,
    )


def types_fit(wanted: str, received: str) -> bool:
    return wanted == received or ANY in (wanted, received)


def converted(name: str, wanted: Input, value: Any) -> tuple[Any, Mistake | None]:
    """The value as the server makes it of what was sent, or what is wrong with it."""
    try:
        return _as(wanted.kind, value), None
    except (ValueError, TypeError, OverflowError) as error:
        return value, mistake(
            "invalid_input_type",
            f"Failed to convert an input value to a {wanted.kind} value",
            f"{name}, {value}, {error}",
            input_name=name,
            input_config=wanted.shown,
            received_value=value,
            exception_message=str(error),
        )


def _as(kind: str, value: Any) -> Any:
    match kind:
        case "INT":
            return int(value)
        case "FLOAT":
            return float(value)
        case "STRING":
            return str(value)
        case "BOOLEAN":
            return bool(value)
    return value


def outside(name: str, wanted: Input, value: Any) -> Mistake | None:
    """What is wrong with a value of the right type, or None."""
    config = wanted.config
    told = {"input_name": name, "input_config": wanted.shown, "received_value": value}
    if "min" in config and value < config["min"]:
        message = f"Value {value} smaller than min of {config['min']}"
        return mistake("value_smaller_than_min", message, name, **told)
    if "max" in config and value > config["max"]:
        message = f"Value {value} bigger than max of {config['max']}"
        return mistake("value_bigger_than_max", message, name, **told)
    choices = wanted.choices
    if wanted.kind == "COMBO" and choices is not None and value not in choices:
        listed = str(choices)
        if len(choices) > _MOST_CHOICES:
            listed, told["input_config"] = f"(list of length {len(choices)})", None
        details = f"{name}: '{value}' not in {listed}"
        return mistake("value_not_in_list", "Value not in list", details, **told)
    return None
