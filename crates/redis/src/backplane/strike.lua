-- Strikes a silent node off, unless it has spoken since.
-- KEYS: nodes. ARGV: node, when it had spoken last.
if redis.call('HGET', KEYS[1], ARGV[1] .. ':n') == ARGV[2] then
  redis.call('HDEL', KEYS[1], ARGV[1], ARGV[1] .. ':n')
end
return 1
