from __future__ import annotations

import pytest

from lapse.bootstrap.engines import engines, new_engine
from lapse.bootstrap.home import Home, Settings, read_settings, write_settings
from lapse.bootstrap.stamps import ReviewSettings
from lapse.domain.errors import InvalidInput
from support.spark import needs_spark


def test_without_a_name_it_is_duckdb():
    assert new_engine().name == "duckdb"
    with engines("duckdb") as made:
        assert made().query("SELECT 1 AS x", {}) == [{"x": 1}]


@needs_spark
@pytest.mark.parametrize("name", ["local", "local[3]", "spark://spark.example.com:7077", "spark://a:1,b:2"])
def test_the_others_are_spark_which_does_not_start_before_it_is_asked(name):
    assert new_engine(name).name == "spark"


@pytest.mark.parametrize("name", ["", "DuckDB", "spark", "spark:7077", "yarn", "local[", "spark://a b:1"])
def test_anything_else_is_refused_with_what_there_is(tmp_path, name):
    with pytest.raises(InvalidInput, match="the engine of a review cannot be") as caught:
        new_engine(name)
    assert "spark://HOST:PORT" in caught.value.hint


def test_a_server_takes_it_from_its_settings(tmp_path):
    home = Home(tmp_path)
    write_settings(home, Settings(review=ReviewSettings(engine="spark://spark.example.com:7077")))
    assert read_settings(home).review.engine == "spark://spark.example.com:7077"
    write_settings(home, Settings(review=ReviewSettings(engine="sparkle")))
    with pytest.raises(InvalidInput, match=r"`engine` in \[review\] cannot be `sparkle`"):
        read_settings(home)


def test_what_was_computed_is_kept_unless_the_settings_say_otherwise(tmp_path):
    home = Home(tmp_path)
    write_settings(home, Settings())
    assert read_settings(home).review.keep
    write_settings(home, Settings(review=ReviewSettings(keep=False)))
    assert not read_settings(home).review.keep
    new_engine()
    assert not home.kept.exists()
    new_engine(kept=home.kept)
    assert home.kept.stat().st_mode & 0o077 == 0
