-- What OIDCState leaves: logins of the last ten minutes, and those without a time.
CREATE TABLE survivors.oidcstate AS
  SELECT oidcstate.* FROM oidcstate, seed WHERE created_at IS NULL OR created_at >= moment - interval '10 minutes';
