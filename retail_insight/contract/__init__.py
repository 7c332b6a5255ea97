"""The contract of a shop: its tables and rules, the door that its rows come through, and the loaded shop."""

from retail_insight.contract.cutting import key_seeds, plan_shards, shard_shop
from retail_insight.contract.growth import append, erase
from retail_insight.contract.proposal import Proposal, propose_mapping
from retail_insight.contract.shards import ShardError, map_shards
from retail_insight.contract.shop import Shop, cached_shops, check_shop, clear_cache, load_shop, open_shop, resolve_as_of
from retail_insight.contract.tables import REQUIRED, TABLES, ContractError, contract_rules, corner_tables, read_mapping

__all__ = [
    "REQUIRED",
    "TABLES",
    "ContractError",
    "Proposal",
    "ShardError",
    "Shop",
    "append",
    "cached_shops",
    "check_shop",
    "clear_cache",
    "contract_rules",
    "corner_tables",
    "erase",
    "key_seeds",
    "load_shop",
    "map_shards",
    "open_shop",
    "plan_shards",
    "propose_mapping",
    "read_mapping",
    "resolve_as_of",
    "shard_shop",
]
