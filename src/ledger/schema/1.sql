-- Version 1 of the ledger. One table of facts, which only grows; everything else is a view of it.
CREATE TABLE meta (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT;

CREATE TABLE facts (
  call TEXT NOT NULL,        -- our name for the call
  seq INTEGER NOT NULL,      -- its place among the call's lines, from 1
  unix_ms INTEGER NOT NULL,  -- when it was written
  event TEXT NOT NULL,       -- as in the log: call.turn
  body TEXT NOT NULL,        -- JSON; money in billionths of a dollar
  hash TEXT NOT NULL,        -- SHA-256 over the hash before, seq, unix_ms, event and body
  PRIMARY KEY (call, seq)
) STRICT;

-- A call is over once.
CREATE UNIQUE INDEX facts_over ON facts (call) WHERE event IN ('call.ended', 'call.lost', 'call.refused');
CREATE INDEX facts_first ON facts (unix_ms) WHERE seq = 1;
CREATE INDEX facts_by_time ON facts (event, unix_ms);
CREATE INDEX facts_by_carrier_call ON facts (json_extract(body, '$.carrier_call')) WHERE seq = 1;

CREATE TRIGGER facts_are_not_changed BEFORE UPDATE ON facts
BEGIN SELECT RAISE(ABORT, 'the ledger only grows: facts are not changed'); END;
CREATE TRIGGER facts_are_not_removed BEFORE DELETE ON facts
BEGIN SELECT RAISE(ABORT, 'the ledger only grows: facts are not removed'); END;
-- A line that is there already stays as it is, even if somebody replaces it.
CREATE TRIGGER facts_are_not_replaced BEFORE INSERT ON facts
WHEN EXISTS (SELECT 1 FROM facts WHERE call = NEW.call AND seq = NEW.seq)
BEGIN SELECT RAISE(IGNORE); END;

-- One row a call. Money is in billionths of a dollar (…_nanos), and as exact decimal text (…_usd).
CREATE VIEW calls AS
WITH plain AS (
  SELECT
    o.call AS call,
    o.unix_ms AS opened_ms,
    e.unix_ms AS over_ms,
    o.body ->> '$.carrier' AS carrier,
    o.body ->> '$.carrier_call' AS carrier_call,
    o.body ->> '$.agent' AS agent,
    o.body ->> '$.account' AS caller,
    o.body ->> '$.model' AS model,
    o.body ->> '$.from' AS from_masked,
    o.body ->> '$.to' AS to_masked,
    CASE e.event WHEN 'call.lost' THEN 'lost' WHEN 'call.refused' THEN 'refused' ELSE e.body ->> '$.ending' END AS ending,
    e.body ->> '$.cause' AS cause,
    e.body ->> '$.duration_ms' AS duration_ms,
    coalesce(e.body ->> '$.minutes', 0) + coalesce(e.body ->> '$.ran_on_minutes', 0) AS minutes,
    coalesce(o.body ->> '$.cap_nanos', 0) AS cap_nanos,
    coalesce(e.body ->> '$.spent_nanos', 0) AS spent_nanos,
    coalesce(e.body ->> '$.model_nanos', 0) AS model_nanos,
    coalesce(e.body ->> '$.transcription_nanos', 0) AS transcription_nanos,
    coalesce(e.body ->> '$.carrier_nanos', 0) AS carrier_nanos,
    coalesce(e.body ->> '$.tools_nanos', 0) AS tools_nanos,
    coalesce(e.body ->> '$.unreported_nanos', 0) AS unreported_nanos,
    coalesce(e.body ->> '$.ran_on_nanos', 0) AS ran_on_nanos,
    coalesce(e.body ->> '$.unheard_nanos', 0) AS unheard_nanos
  FROM facts o
  LEFT JOIN facts e ON e.call = o.call AND e.event IN ('call.ended', 'call.lost', 'call.refused')
  WHERE o.seq = 1
)
SELECT
  plain.*,
  strftime('%Y-%m-%dT%H:%M:%SZ', opened_ms / 1000, 'unixepoch') AS opened,
  strftime('%Y-%m-%d', over_ms / 1000, 'unixepoch') AS day,
  printf('%d.%03d', duration_ms / 1000, duration_ms % 1000) AS duration_s,
  printf('%d.%02d', cap_nanos / 1000000000, cap_nanos / 10000000 % 100) || rtrim(printf('%07d', cap_nanos % 10000000), '0') AS cap_usd,
  printf('%d.%02d', spent_nanos / 1000000000, spent_nanos / 10000000 % 100) || rtrim(printf('%07d', spent_nanos % 10000000), '0') AS spent_usd,
  printf('%d.%02d', model_nanos / 1000000000, model_nanos / 10000000 % 100) || rtrim(printf('%07d', model_nanos % 10000000), '0') AS model_usd,
  printf('%d.%02d', transcription_nanos / 1000000000, transcription_nanos / 10000000 % 100) || rtrim(printf('%07d', transcription_nanos % 10000000), '0') AS transcription_usd,
  printf('%d.%02d', carrier_nanos / 1000000000, carrier_nanos / 10000000 % 100) || rtrim(printf('%07d', carrier_nanos % 10000000), '0') AS carrier_usd,
  printf('%d.%02d', tools_nanos / 1000000000, tools_nanos / 10000000 % 100) || rtrim(printf('%07d', tools_nanos % 10000000), '0') AS tools_usd,
  printf('%d.%02d', unreported_nanos / 1000000000, unreported_nanos / 10000000 % 100) || rtrim(printf('%07d', unreported_nanos % 10000000), '0') AS unreported_usd,
  printf('%d.%02d', ran_on_nanos / 1000000000, ran_on_nanos / 10000000 % 100) || rtrim(printf('%07d', ran_on_nanos % 10000000), '0') AS ran_on_usd,
  printf('%d.%02d', unheard_nanos / 1000000000, unheard_nanos / 10000000 % 100) || rtrim(printf('%07d', unheard_nanos % 10000000), '0') AS unheard_usd
FROM plain;

-- What calls that are over have cost, by the day (UTC) on which they were over, the agent and the caller's account.
CREATE VIEW spend AS
WITH plain AS (
  SELECT
    strftime('%Y-%m-%d', e.unix_ms / 1000, 'unixepoch') AS day,
    o.body ->> '$.agent' AS agent,
    o.body ->> '$.account' AS caller,
    count(*) AS calls,
    sum(coalesce(e.body ->> '$.spent_nanos', 0)) AS spent_nanos,
    sum(coalesce(e.body ->> '$.model_nanos', 0)) AS model_nanos,
    sum(coalesce(e.body ->> '$.transcription_nanos', 0)) AS transcription_nanos,
    sum(coalesce(e.body ->> '$.carrier_nanos', 0)) AS carrier_nanos,
    sum(coalesce(e.body ->> '$.tools_nanos', 0)) AS tools_nanos,
    sum(coalesce(e.body ->> '$.unreported_nanos', 0)) AS unreported_nanos,
    sum(coalesce(e.body ->> '$.ran_on_nanos', 0)) AS ran_on_nanos,
    sum(coalesce(e.body ->> '$.unheard_nanos', 0)) AS unheard_nanos
  FROM facts e JOIN facts o ON o.call = e.call AND o.seq = 1
  WHERE e.event IN ('call.ended', 'call.lost')
  GROUP BY 1, 2, 3
)
SELECT
  plain.*,
  printf('%d.%02d', spent_nanos / 1000000000, spent_nanos / 10000000 % 100) || rtrim(printf('%07d', spent_nanos % 10000000), '0') AS spent_usd
FROM plain;
