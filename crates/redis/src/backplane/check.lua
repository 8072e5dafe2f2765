-- Whether a purge is still kept, and what the nodes have confirmed.
-- KEYS: meta, marks, nodes. ARGV: incarnation, number.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local meta = redis.call('HMGET', KEYS[1], 'inc', 'run', 'seq')
if meta[1] ~= ARGV[1] or meta[2] ~= run or tonumber(meta[3]) < tonumber(ARGV[2])
  or not redis.call('ZSCORE', KEYS[2], '~') or redis.call('HEXISTS', KEYS[3], '~') == 0 then
  return { 'lost', {} }
end
-- A write, so that a WAIT after it covers this look as well.
redis.call('HSET', KEYS[1], 'checked', '1')
return { 'kept', redis.call('HGETALL', KEYS[3]) }
