"""Spools of every engine; what is called the same in another module of this folder is its own."""

from __future__ import annotations

import pytest

from tests.contract.spool_house import House


@pytest.fixture(params=["memory", "sqlite"])
async def house(request, tmp_path):
    house = House(request.param, tmp_path)
    yield house
    for view in house.views:
        await view.close()


@pytest.fixture
def spool(house):
    return house.open()


@pytest.fixture
def other(house, spool):
    return house.open()
