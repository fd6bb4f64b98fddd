-- Who asked for a change, as W3C's `traceparent`: the traces of its events that are sampled, an array. The update that is
-- pushed belongs to them too.
alter table read.change add column traces json;
