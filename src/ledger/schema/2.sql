-- Version 2: a call that we place has a name at the carrier only after its first line.
CREATE INDEX facts_by_dialled_call ON facts (json_extract(body, '$.carrier_call')) WHERE event = 'call.dialled';
