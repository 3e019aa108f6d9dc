-- Keeps an entry unless something newer is there, for a while.
--
-- An entry is "<version> <row>", or "gone". Nothing but "gone" replaces "gone".
--
-- KEYS[1] the key; ARGV[1] the version, or "gone"; ARGV[2] the entry; ARGV[3] how long to keep it, in milliseconds
local kept = redis.call('GET', KEYS[1])
if kept and ARGV[1] ~= 'gone' then
    -- Versions have up to twenty digits, more than a number of Lua: the longer one is newer, then the one that sorts later.
    local version = string.match(kept, '^%d+')
    if kept == 'gone' then
        return 0
    end
    if version and (#version > #ARGV[1] or (#version == #ARGV[1] and version >= ARGV[1])) then
        return 0
    end
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
