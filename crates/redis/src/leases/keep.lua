-- Lengthens a lease, or gives it back: if it is still the asker's.
-- KEYS: lease. ARGV: token, milliseconds or 0 to give it back.
local held = redis.call('GET', KEYS[1])
if not held or string.match(held, '^%x+') ~= ARGV[1] then
  return 0
end
if ARGV[2] == '0' then
  return redis.call('DEL', KEYS[1])
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
