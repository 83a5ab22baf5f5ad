-- Why a quote is not believed, in words; NULL for one that is, and in older rows.
ALTER TABLE exchange_samples ADD COLUMN suspicion VARCHAR;
