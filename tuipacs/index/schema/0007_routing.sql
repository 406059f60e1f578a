-- Routing: rules, what waits to be judged, and what was decided.

CREATE TABLE route (
    id INTEGER PRIMARY KEY AUTOINCREMENT,     -- never used again: decisions name it
    position INTEGER NOT NULL,                -- rules are asked in this order
    name TEXT NOT NULL UNIQUE COLLATE NOCASE,
    enabled INTEGER NOT NULL,
    rule TEXT NOT NULL,                       -- RouteRule as JSON; name, enabled and nodes are those here
    revision INTEGER NOT NULL,
    created_at REAL NOT NULL,
    changed_at REAL NOT NULL,
    changed_by TEXT NOT NULL
) STRICT;

-- Its destinations. The title is kept for when the node is gone.
CREATE TABLE route_node (
    route INTEGER NOT NULL REFERENCES route (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    node INTEGER NOT NULL,                    -- 0: removed
    node_title TEXT NOT NULL,
    PRIMARY KEY (route, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX route_node_node ON route_node (node);

-- How much of a series was routed to a node, by whichever rule: all instances up to this one.
CREATE TABLE route_mark (
    series INTEGER NOT NULL,
    node INTEGER NOT NULL,
    instance INTEGER NOT NULL,
    PRIMARY KEY (series, node)
) STRICT, WITHOUT ROWID;

-- SQLite gives the key of the last node again when that one is removed. Nobody's pictures may go to a node that
-- happens to get the key of another.
CREATE TRIGGER route_forgets_node AFTER DELETE ON node
BEGIN
    UPDATE route_node SET node = 0 WHERE node = old.id;
    DELETE FROM route_mark WHERE node = old.id;
END;

CREATE TRIGGER route_follows_title AFTER UPDATE OF ae_title ON node
BEGIN UPDATE route_node SET node_title = new.ae_title WHERE node = new.id; END;

-- Studies that something came for and that are not judged by all rules yet.
CREATE TABLE route_pending (
    study INTEGER PRIMARY KEY,
    last_at REAL NOT NULL,                    -- newest object
    due_at REAL NOT NULL,                     -- when to look at it next
    judged TEXT NOT NULL DEFAULT '',          -- keys of rules that have spoken since that object: " 3 7 "
    stopped_by TEXT NOT NULL DEFAULT '',      -- name of the rule that matched and said stop
    forced INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX route_pending_due ON route_pending (due_at);

CREATE TABLE route_decision (
    id INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    study INTEGER NOT NULL,
    route INTEGER NOT NULL,
    rule TEXT NOT NULL,                       -- its name then
    outcome TEXT NOT NULL,
    reason TEXT NOT NULL,
    destination TEXT NOT NULL,
    job INTEGER NOT NULL,                     -- 0: none
    instances INTEGER NOT NULL,
    forced INTEGER NOT NULL
) STRICT;
CREATE INDEX route_decision_study ON route_decision (study, id);
CREATE INDEX route_decision_at ON route_decision (at);
CREATE INDEX route_decision_sent ON route_decision (route, at) WHERE outcome = 'sent';

-- How far the change feed was read. What was here before there was routing is no arrival.
CREATE TABLE route_cursor (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    seq INTEGER NOT NULL
) STRICT;
INSERT INTO route_cursor SELECT 1, coalesce(max(seq), 0) FROM change;
