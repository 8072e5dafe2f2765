-- Tells a node the markers above its cursor, and notices when Redis has lost data.
-- KEYS: meta, marks. ARGV: incarnation and highest number that the node follows, cursor, a new incarnation, page size.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local meta = redis.call('HMGET', KEYS[1], 'inc', 'run', 'seq', 'base', 'floor')
local lost = not meta[1] or meta[2] ~= run or not redis.call('ZSCORE', KEYS[2], '~')
  or (meta[1] == ARGV[1] and tonumber(ARGV[2]) > tonumber(meta[3]))
if lost then
  local time = redis.call('TIME')
  local base = math.max(time[1] * 1000000 + time[2], tonumber(meta[3] or 0), tonumber(ARGV[2])) + 1
  base = string.format('%.0f', base)
  redis.call('DEL', KEYS[1], KEYS[2])
  redis.call('HSET', KEYS[1], 'inc', ARGV[4], 'run', run, 'seq', base, 'base', base, 'floor', '0')
  -- Its absence tells that the markers were lost.
  redis.call('ZADD', KEYS[2], 0, '~')
  meta = { ARGV[4], run, base, base, '0' }
end
local cursor = ARGV[3]
if meta[1] ~= ARGV[1] or cursor == '0' then
  cursor = '0'
end
local found = redis.call('ZRANGE', KEYS[2], '(' .. cursor, '+inf', 'BYSCORE', 'LIMIT', 0, ARGV[5], 'WITHSCORES')
local markers = {}
for at = 1, #found, 2 do
  markers[#markers + 1] = { found[at], string.format('%.0f', tonumber(found[at + 1])) }
end
return { meta[1], meta[4], meta[3], meta[5], markers }
