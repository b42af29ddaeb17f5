-- Under whose name a run counts where runs in flight are limited; empty for nobody's, NULL for runs that do not count. Without such
-- limits nothing is written here, and the index stays empty. The assistant stands in it so that its runs can be counted, too.
ALTER TABLE run ADD COLUMN owner TEXT;
CREATE INDEX run_counted ON run (owner, assistant_id)
    WHERE owner IS NOT NULL AND (status = 'pending' OR status = 'running');
