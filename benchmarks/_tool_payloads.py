"""Tool results as service agents get them, drawn with a seed, and JSON of any shape for round trips."""

from __future__ import annotations

import random
from collections.abc import Callable

__all__ = ["PAYLOADS", "any_json"]

_CITIES = ["PHL", "LGA", "JFK", "SFO", "ORD", "DEN", "SEA", "BOS", "MIA", "ATL"]
_NAMES = ["sara_doe", "ivan_li", "mei_kovacs", "noah_silva", "ava_moore", "raj_patel"]


def _digits(draw: random.Random, length: int) -> str:
    return str(draw.randint(10 ** (length - 1), 10**length - 1))


def flights(draw: random.Random) -> object:
    origin, destination = draw.sample(_CITIES, 2)
    return [
        {
            "flight_number": f"HAT{draw.randint(1, 300):03d}",
            "origin": origin,
            "destination": destination,
            "scheduled_departure_time_est": f"{draw.randint(0, 23):02d}:00:00",
            "scheduled_arrival_time_est": f"{draw.randint(0, 23):02d}:30:00",
            "status": "available",
            "available_seats": {c: draw.randint(0, 20) for c in ("basic_economy", "economy", "business")},
            "prices": {c: draw.randint(50, 500) for c in ("basic_economy", "economy", "business")},
        }
        for _ in range(draw.randint(3, 12))
    ]


def product(draw: random.Random) -> object:
    variants = {}
    for _ in range(draw.randint(6, 14)):
        item = _digits(draw, 10)
        variants[item] = {
            "item_id": item,
            "options": {
                "color": draw.choice(["red", "blue", "black", "olive"]),
                "size": draw.choice(["S", "M", "L", "XL"]),
                "material": draw.choice(["cotton", "polyester"]),
            },
            "available": draw.random() < 0.7,
            "price": round(draw.uniform(20, 90), 2),
        }
    return {"name": "T-Shirt", "product_id": _digits(draw, 10), "variants": variants}


def order(draw: random.Random) -> dict[str, object]:
    items = [
        {
            "name": draw.choice(["Desk Lamp", "Bookshelf", "Water Bottle", "Mechanical Keyboard"]),
            "product_id": _digits(draw, 10),
            "item_id": _digits(draw, 10),
            "price": round(draw.uniform(20, 900), 2),
            "options": {
                "color": draw.choice(["red", "white"]),
                "power source": draw.choice(["AC", "battery"]),
            },
        }
        for _ in range(draw.randint(1, 6))
    ]
    return {
        "order_id": f"#W{_digits(draw, 7)}",
        "user_id": f"{draw.choice(_NAMES)}_{draw.randint(1000, 9999)}",
        "address": {
            "address1": f"{draw.randint(100, 999)} Maple Drive",
            "address2": f"Suite {draw.randint(100, 999)}",
            "city": draw.choice(["Austin", "Denver", "Seattle"]),
            "country": "USA",
            "state": draw.choice(["TX", "CO", "WA"]),
            "zip": f"{draw.randint(0, 99999):05d}",
        },
        "items": items,
        "fulfillments": [
            {"tracking_id": [_digits(draw, 12)], "item_ids": [str(item["item_id"]) for item in items]}
        ],
        "status": draw.choice(["delivered", "pending", "processed"]),
        "payment_history": [
            {
                "transaction_type": "payment",
                "amount": round(draw.uniform(20, 900), 2),
                "payment_method_id": f"credit_card_{_digits(draw, 7)}",
            }
        ],
    }


def orders(draw: random.Random) -> object:
    return [order(draw) for _ in range(draw.randint(8, 20))]


def user(draw: random.Random) -> object:
    first, last = draw.choice(_NAMES).split("_")
    payments = {
        f"{kind}_{_digits(draw, 7)}": {"source": kind, "last_four": _digits(draw, 4)}
        for kind in draw.sample(["credit_card", "gift_card", "certificate", "paypal"], draw.randint(1, 3))
    }
    for key, value in payments.items():
        value["id"] = key
    return {
        "name": {"first_name": first.title(), "last_name": last.title()},
        "email": f"{first}.{last}{draw.randint(1000, 9999)}@example.com",
        "dob": f"19{draw.randint(50, 99)}-{draw.randint(1, 12):02d}-{draw.randint(1, 28):02d}",
        "membership": draw.choice(["gold", "silver", "regular"]),
        "payment_methods": payments,
        "saved_passengers": [
            {
                "first_name": draw.choice(["Ana", "Ben", "Chen"]),
                "last_name": last.title(),
                "dob": f"19{draw.randint(50, 99)}-{draw.randint(1, 12):02d}-{draw.randint(1, 28):02d}",
            }
            for _ in range(draw.randint(1, 4))
        ],
        "reservations": [_digits(draw, 6) for _ in range(draw.randint(1, 6))],
    }


def reservation(draw: random.Random) -> object:
    legs = flights(draw)
    assert isinstance(legs, list)
    return {
        "reservation_id": _digits(draw, 6),
        "user_id": f"{draw.choice(_NAMES)}_{draw.randint(1000, 9999)}",
        "cabin": draw.choice(["economy", "business"]),
        "flights": [
            {
                "flight_number": leg["flight_number"],
                "origin": leg["origin"],
                "destination": leg["destination"],
                "date": f"2024-05-{draw.randint(1, 30):02d}",
                "price": draw.randint(50, 500),
            }
            for leg in legs[:4]
        ],
        "passengers": [
            {"first_name": draw.choice(["Ana", "Ben"]), "last_name": "Kim", "dob": "1980-01-02"}
            for _ in range(draw.randint(1, 4))
        ],
        "total_baggages": draw.randint(0, 4),
        "insurance": draw.choice(["yes", "no"]),
    }


PAYLOADS: dict[str, Callable[[random.Random], object]] = {
    "flights found": flights,
    "product with variants": product,
    "one order": order,
    "list of orders": orders,
    "one user": user,
    "reservation": reservation,
}

_TRICKY = [
    "",
    " ",
    "1",
    "-0",
    "1e5",
    "true",
    "null",
    "@key",
    "a,b",
    "{",
    "]",
    '"',
    "\\",
    "\n",
    "3 rows: a",
    "ü",
]
_KEYS = ["id", "name", "a b", "x", "1", "3 rows", "k?", "@key", "", "a=b", "z:text"]


def any_json(draw: random.Random, depth: int = 0) -> object:
    """Draw a JSON value of any shape, records with shared names above all."""
    kind = draw.random()
    if depth > 3 or kind < 0.25:
        return draw.choice(
            [
                None,
                True,
                False,
                draw.randint(-(10**6), 10**6),
                round(draw.uniform(-1e3, 1e3), draw.randint(0, 4)),
                draw.choice(_TRICKY),
                "".join(draw.choice('ab1,:;{}[]"\\ \n.-?=@é') for _ in range(draw.randint(0, 8))),
            ]
        )
    if kind < 0.45:
        return [any_json(draw, depth + 1) for _ in range(draw.randint(0, 4))]
    if kind < 0.6:
        return {draw.choice(_KEYS): any_json(draw, depth + 1) for _ in range(draw.randint(0, 4))}
    names = draw.sample(_KEYS, draw.randint(1, 4))
    rows = [
        {name: any_json(draw, depth + 2) for name in names if draw.random() < 0.85}
        for _ in range(draw.randint(2, 5))
    ]
    if draw.random() < 0.5:
        return rows
    return {draw.choice(_TRICKY) + str(at): row for at, row in enumerate(rows)}
