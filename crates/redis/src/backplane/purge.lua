-- Numbers a purge, keeps its markers and announces it. Answers its number, or 'lost' when this Redis has lost the order of purges; whether
-- nothing that is guarded was purged above a number ('1') or something was ('0'); whether the incarnation has settled; the longest lease;
-- whether all are strict; and the nodes with what they have confirmed.
-- KEYS: meta, marks, nodes. ARGV: incarnation, kind (s or h), most markers, retention in microseconds, channel, node, the node's highest
-- number, number that guards look above, how many tags are guarded, these, tags to purge.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local meta = redis.call('HMGET', KEYS[1], 'inc', 'run', 'seq', 'floor', 'settled', 'lease', 'strict')
local lost = meta[1] ~= ARGV[1] or meta[2] ~= run or not redis.call('ZSCORE', KEYS[2], '~')
  or redis.call('HEXISTS', KEYS[3], '~') == 0
-- A dataset that went back: what is given now would be given a second time.
if lost or tonumber(ARGV[7]) > tonumber(meta[3]) then
  return { 'lost', '0', '0', '0', '0', {} }
end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local seq = string.format('%.0f', math.max(tonumber(meta[3]) + 1, now))
local guarded = tonumber(ARGV[9])
local clean = '1'
if guarded > 0 and tonumber(meta[4]) > tonumber(ARGV[8]) then
  clean = '0'
end
for at = 10, 9 + guarded do
  for _, kind in ipairs({ 's', 'h' }) do
    local score = redis.call('ZSCORE', KEYS[2], kind .. ARGV[at])
    if score and tonumber(score) > tonumber(ARGV[8]) then
      clean = '0'
    end
  end
end
local tags = {}
for at = 10 + guarded, #ARGV do
  tags[#tags + 1] = ARGV[at]
  redis.call('ZADD', KEYS[2], 'GT', seq, ARGV[2] .. ARGV[at])
  if ARGV[2] == 'h' then
    redis.call('ZREM', KEYS[2], 's' .. ARGV[at])
  end
end
-- What is forgotten raises the floor, and entries below the floor are dead: forgetting only kills more.
local old = redis.call('ZRANGE', KEYS[2], string.format('(%.0f', now - tonumber(ARGV[4])), '(0', 'BYSCORE', 'REV', 'LIMIT', 0, 1, 'WITHSCORES')
local surplus = redis.call('ZCARD', KEYS[2]) - 1 - tonumber(ARGV[3])
local floor = tonumber(meta[4])
if #old > 0 then
  floor = math.max(floor, tonumber(old[2]))
end
if surplus > 0 then
  local last = redis.call('ZRANGE', KEYS[2], surplus + math.floor(ARGV[3] / 100), surplus + math.floor(ARGV[3] / 100), 'WITHSCORES')
  if #last > 0 then
    floor = math.max(floor, tonumber(last[2]))
  end
end
if floor > tonumber(meta[4]) then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '(0', string.format('%.0f', floor))
end
redis.call('HSET', KEYS[1], 'seq', seq, 'floor', string.format('%.0f', floor))
redis.call('PUBLISH', ARGV[5], table.concat({ '1', meta[1], meta[3], seq, ARGV[6], ARGV[2], table.concat(tags, ',') }, ' '))
return { seq, clean, meta[5], meta[6], meta[7], redis.call('HGETALL', KEYS[3]) }
