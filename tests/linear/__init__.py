__tags__ = {"layer": "unit"}
