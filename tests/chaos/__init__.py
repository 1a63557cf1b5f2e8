__tags__ = {"layer": "stress", "chaos": True}
