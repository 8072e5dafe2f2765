-- Lengthens a lease, or gives it back: if it is still the asker's. That it was given back stays known for a while: whoever looked for the
-- entry before it was stored, and asks for the lease only now, would fill once more.
-- KEYS: lease. ARGV: token, milliseconds, 1 to give it back.
local held = redis.call('GET', KEYS[1])
if not held or string.match(held, '^(%x+):') ~= ARGV[1] then
  return 0
end
if ARGV[3] == '1' then
  redis.call('SET', KEYS[1], 'given back', 'PX', ARGV[2])
  return 1
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
