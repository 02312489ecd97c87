-- Version 3: what was said, of agents that have it kept. Not part of any chain, and no fact: it is deleted when its time has come.
CREATE TABLE transcripts (
  call TEXT NOT NULL,                -- our name for the call
  n INTEGER NOT NULL,                -- its place in the call's transcript, from 1
  unix_ms INTEGER NOT NULL,          -- when it was known
  at_ms INTEGER NOT NULL,            -- the same in the call's own time
  speaker TEXT NOT NULL,             -- caller or agent
  heard TEXT NOT NULL,
  unheard TEXT NOT NULL,             -- what the agent had said on, when the caller had cut in
  expires_unix_ms INTEGER NOT NULL,
  PRIMARY KEY (call, n)
) STRICT;
CREATE INDEX transcripts_by_expiry ON transcripts (expires_unix_ms);
