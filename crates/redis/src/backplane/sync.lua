-- Tells a node the markers above its cursor, registers it with what it confirms, and notices when Redis has lost data.
-- KEYS: meta, marks, nodes. ARGV: node, incarnation that it follows, its highest number, the number it confirms, incarnation and number
-- of the cursor, a new incarnation, page size, 1 if the incarnation has settled, lease in milliseconds, 1 for strict.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local meta = redis.call('HMGET', KEYS[1], 'inc', 'run', 'seq', 'base', 'floor', 'lease', 'strict', 'settled')
-- Of a release that knew no leases it is not known who may serve what.
local lost = not meta[1] or meta[2] ~= run or not meta[6] or not redis.call('ZSCORE', KEYS[2], '~')
  or redis.call('HEXISTS', KEYS[3], '~') == 0
  or (meta[1] == ARGV[2] and tonumber(ARGV[3]) > tonumber(meta[3]))
if lost then
  local time = redis.call('TIME')
  local base = math.max(time[1] * 1000000 + time[2], tonumber(meta[3] or 0), tonumber(ARGV[3])) + 1
  base = string.format('%.0f', base)
  redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
  local lease = math.max(tonumber(ARGV[10]), tonumber(meta[6] or 0))
  meta = { ARGV[7], run, base, base, '0', tostring(lease), ARGV[11], '0' }
  redis.call('HSET', KEYS[1], 'inc', meta[1], 'run', run, 'seq', base, 'base', base, 'floor', '0', 'lease', meta[6],
    'strict', meta[7], 'settled', '0')
  -- Their absence tells that the markers, or the nodes, were lost.
  redis.call('ZADD', KEYS[2], 0, '~')
  redis.call('HSET', KEYS[3], '~', '')
elseif ARGV[9] == '1' and meta[1] == ARGV[2] and meta[8] ~= '1' then
  redis.call('HSET', KEYS[1], 'settled', '1')
end
-- What holds for all is what the most patient node, and the least strict, was told.
if tonumber(ARGV[10]) > tonumber(meta[6]) then
  redis.call('HSET', KEYS[1], 'lease', ARGV[10])
  meta[6] = ARGV[10]
end
if ARGV[11] == '0' and meta[7] == '1' then
  redis.call('HSET', KEYS[1], 'strict', '0')
  meta[7] = '0'
end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
-- When it spoke last, and not how often: a count begins anew after a node was struck off, and may then be what it was before.
redis.call('HSET', KEYS[3], ARGV[1], meta[1] == ARGV[2] and ARGV[4] or '0', ARGV[1] .. ':n', string.format('%.0f', now))
if meta[7] == '0' then
  -- Nobody waits for confirmations, so nobody strikes off who is gone without a word.
  local nodes = redis.call('HGETALL', KEYS[3])
  for at = 1, #nodes, 2 do
    local name = string.match(nodes[at], '^(.*):n$')
    if name and tonumber(nodes[at + 1]) + 20000 * tonumber(meta[6]) < now then
      redis.call('HDEL', KEYS[3], name, name .. ':n')
    end
  end
end
local cursor = meta[1] == ARGV[5] and ARGV[6] or '0'
local found = redis.call('ZRANGE', KEYS[2], '(' .. cursor, '+inf', 'BYSCORE', 'LIMIT', 0, ARGV[8], 'WITHSCORES')
local markers = {}
for at = 1, #found, 2 do
  markers[#markers + 1] = { found[at], string.format('%.0f', tonumber(found[at + 1])) }
end
return { meta[1], meta[4], meta[3], meta[5], meta[7], meta[6], redis.call('HLEN', KEYS[3]), markers }
