-- Run once, when the volume is new: the schema registry keeps its ids beside the database of the tables, not in it.
CREATE DATABASE registry;
