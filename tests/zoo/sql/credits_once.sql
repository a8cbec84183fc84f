-- Credits once for what was paid.

alter table credits add primary key (source_id);
