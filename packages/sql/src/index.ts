// Written by scripts/barrels.mjs
