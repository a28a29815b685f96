-- Rows for distr_tables.sql, the same ones whenever it is run: ids are hashes of numbers, times count back from one moment.
--
-- Wants a table `seed` of one row:
--   moment timestamp         what counts as now, in UTC
--   gap interval             no age is nearer than this to 72 hours, the age at which statuses and metrics expire
--   awkward boolean          ties, NULLs, groups of all sizes; else even groups, and no two times of a log are the same
--   organizations integer    each with 2 targets, 4 deployments, 12 revisions, 2 customers, applications, artifacts, an alert, and
--                            a few rows of all else that goes with it
--   statuses, metrics, disks, logs, target_logs, states, notifications integer
--   log_groups integer       (deployment, resource) pairs that logs are spread over
--   keep integer            the number of log records per group that the oracle expects to stay
-- Of ten organizations one was deleted over 30 days ago, one recently. Every statement ends at the end of a line.
CREATE FUNCTION seed_id(kind text, number bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT md5(kind || number::text)::uuid $$;
CREATE FUNCTION seed_share(number bigint) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$ SELECT (number * 2654435761 % 4294967296) / 4294967296.0 $$;
CREATE FUNCTION seed_age(number bigint, total bigint, gap interval) RETURNS interval LANGUAGE sql IMMUTABLE AS $$ SELECT
  CASE WHEN number <= total / 2 THEN interval '72 hours' + gap + (interval '72 hours' - gap) * (1 - number / (total / 2.0))
       ELSE (interval '72 hours' - gap) * (1 - (number - total / 2) / (total / 2.0)) END $$;
INSERT INTO agentversion (id, name) VALUES (seed_id('agent', 1), 'v2.0.0');
INSERT INTO organization (id, name, slug, created_at, deleted_at)
  SELECT seed_id('organization', n), 'Organization ' || n, 'organization-' || n, moment - interval '400 days',
         CASE n % 10 WHEN 0 THEN (moment - interval '30 days 10 minutes' - n * interval '1 hour') AT TIME ZONE 'UTC'
                     WHEN 5 THEN (moment - interval '29 days 23 hours 50 minutes' + n * interval '1 minute') AT TIME ZONE 'UTC' END
  FROM seed, generate_series(1, organizations) AS n;
INSERT INTO file (id, organization_id, content_type, data, file_name, file_size)
  SELECT seed_id('file', n), seed_id('organization', n), 'image/png', '\x00', 'logo.png', 1 FROM seed, generate_series(1, organizations) AS n;
INSERT INTO useraccount (id, email, name, image_id, last_used_organization_id)
  SELECT seed_id('user', n), 'user' || n || '@example.com', 'User ' || n,
         CASE WHEN n % 3 = 0 THEN seed_id('file', (n + 1) / 2) END, CASE WHEN n % 4 > 0 THEN seed_id('organization', (n + 1) / 2) END
  FROM seed, generate_series(1, 2 * organizations) AS n;
INSERT INTO partnerorganization (id, organization_id, name)
  SELECT seed_id('partner', n), seed_id('organization', n), 'Partner ' || n FROM seed, generate_series(1, organizations) AS n;
INSERT INTO customerorganization (id, organization_id, image_id, name, partner_organization_id)
  SELECT seed_id('customer', n), seed_id('organization', (n + 1) / 2), CASE WHEN n % 2 = 0 THEN seed_id('file', (n + 1) / 2) END, 'Customer ' || n,
         CASE WHEN n % 2 = 1 THEN seed_id('partner', (n + 1) / 2) END
  FROM seed, generate_series(1, 2 * organizations) AS n;
INSERT INTO organization_useraccount (organization_id, user_account_id, customer_organization_id, partner_organization_id)
  SELECT seed_id('organization', 1 + ((n - 1) / 2 + far) % organizations), seed_id('user', n), CASE WHEN far = 0 AND n % 2 = 0 THEN seed_id('customer', n) END,
         CASE WHEN far > 0 AND n % 2 = 1 THEN seed_id('partner', 1 + ((n - 1) / 2 + far) % organizations) END
  FROM seed, generate_series(1, 2 * organizations) AS n, unnest(ARRAY[0, 7]) AS far;
INSERT INTO organizationbranding (id, organization_id, updated_by_user_account_id, title, app_domain, logo_image_id, favicon_image_id)
  SELECT seed_id('branding', n), seed_id('organization', n), seed_id('user', 2 * n), 'Portal ' || n, 'portal-' || n || '.example.com',
         seed_id('file', n), CASE WHEN n % 2 = 0 THEN seed_id('file', n) END
  FROM seed, generate_series(1, organizations) AS n;
INSERT INTO customemailconfiguration (id, updated_by_user_account_id, organization_id, from_address, smtp_host, smtp_port)
  SELECT seed_id('email', n), seed_id('user', 2 * n), seed_id('organization', n), 'portal-' || n || '@example.com', 'smtp.example.com', 587
  FROM seed, generate_series(1, organizations) AS n;
INSERT INTO useraccount_tutorialprogress (useraccount_id, tutorial, events, organization_id)
  SELECT seed_id('user', n), tutorial, '[]', seed_id('organization', 1 + ((n - 1) / 2 + far) % organizations)
  FROM seed, generate_series(1, 2 * organizations) AS n, unnest(ARRAY[0, 7]) AS far, unnest(ARRAY['agents', 'users']::tutorial[]) AS tutorial;
INSERT INTO sidebarlink (id, organization_id, customer_organization_id, name, link)
  SELECT seed_id('link', n), seed_id('organization', (n + 1) / 2), CASE WHEN n % 2 = 0 THEN seed_id('customer', n) END, 'Docs', 'https://example.com/' || n
  FROM seed, generate_series(1, 2 * organizations) AS n;
INSERT INTO licensetemplate (id, name, organization_id, payload_template)
  SELECT seed_id('licensetemplate', n), 'Template', seed_id('organization', n), '{}' FROM seed, generate_series(1, organizations) AS n;
INSERT INTO licensekey (id, name, organization_id, customer_organization_id, license_template_id)
  SELECT seed_id('license', n), 'License', seed_id('organization', (n + 1) / 2), CASE WHEN n % 2 = 0 THEN seed_id('customer', n) END,
         CASE WHEN n % 2 = 0 THEN seed_id('licensetemplate', (n + 1) / 2) END
  FROM seed, generate_series(1, 2 * organizations) AS n;
INSERT INTO licensekeyrevision (id, license_key_id, not_before, expires_at, payload)
  SELECT seed_id('licenserevision', n), seed_id('license', (n + 1) / 2), moment - interval '100 days', moment + interval '200 days', '{"seats": 5}'
  FROM seed, generate_series(1, 4 * organizations) AS n;
INSERT INTO supportbundleconfigurationenvvar (organization_id, name, redacted)
  SELECT seed_id('organization', (n + 1) / 2), 'VARIABLE_' || n, n % 2 = 0 FROM seed, generate_series(1, 2 * organizations) AS n;
INSERT INTO supportbundle (id, organization_id, customer_organization_id, created_by_user_account_id, title, status, bundle_secret,
  status_changed_by_user_account_id, status_changed_at)
  SELECT seed_id('bundle', n), seed_id('organization', (n + 1) / 2), seed_id('customer', n), seed_id('user', n), 'It does not start',
         (ARRAY['initialized', 'created', 'resolved', 'canceled'])[1 + n % 4]::support_bundle_status, md5('bundle' || n),
         CASE WHEN n % 4 > 1 THEN seed_id('user', n) END, CASE WHEN n % 4 > 1 THEN moment END
  FROM seed, generate_series(1, 2 * organizations) AS n;
INSERT INTO supportbundleresource (id, support_bundle_id, name, content)
  SELECT seed_id('bundleresource', n), seed_id('bundle', (n + 1) / 2), 'log-' || n, repeat('a line of a log, ', 100) FROM seed, generate_series(1, 4 * organizations) AS n;
INSERT INTO supportbundlecomment (id, support_bundle_id, user_account_id, content)
  SELECT seed_id('bundlecomment', n), seed_id('bundle', n), seed_id('user', n), 'Is it plugged in?' FROM seed, generate_series(1, 2 * organizations) AS n;
INSERT INTO accesstoken (id, key, user_account_id, organization_id)
  SELECT seed_id('token', n), decode(md5('token' || n), 'hex'), seed_id('user', n), seed_id('organization', (n + 1) / 2)
  FROM seed, generate_series(1, 2 * organizations) AS n;
INSERT INTO secret (id, key, value, organization_id, updated_by_useraccount_id, customer_organization_id)
  SELECT seed_id('secret', n), 'KEY', 'value', seed_id('organization', (n + 1) / 2), seed_id('user', n), CASE WHEN n % 2 = 0 THEN seed_id('customer', n) END
  FROM seed, generate_series(1, 2 * organizations) AS n;
INSERT INTO application (id, name, type, organization_id, image_id)
  SELECT seed_id('application', n), 'Application ' || n, 'docker', seed_id('organization', (n + 1) / 2), seed_id('file', (n + 1) / 2)
  FROM seed, generate_series(1, 2 * organizations) AS n;
INSERT INTO applicationversion (id, name, application_id)
  SELECT seed_id('version', n), 'v' || n, seed_id('application', (n + 2) / 3) FROM seed, generate_series(1, 6 * organizations) AS n;
INSERT INTO applicationversionresource (id, application_version_id, name, content)
  SELECT seed_id('versionresource', n), seed_id('version', n), 'README', 'Read me' FROM seed, generate_series(1, 6 * organizations) AS n;
INSERT INTO applicationentitlement (id, name, application_id, organization_id, customer_organization_id)
  SELECT seed_id('entitlement', n), 'Entitlement', seed_id('application', n), seed_id('organization', (n + 1) / 2), seed_id('customer', n)
  FROM seed, generate_series(1, 2 * organizations) AS n;
INSERT INTO applicationentitlement_applicationversion
  SELECT seed_id('entitlement', n), seed_id('version', 3 * n) FROM seed, generate_series(1, 2 * organizations) AS n;
INSERT INTO deploymenttarget (id, name, type, organization_id, agent_version_id, customer_organization_id)
  SELECT seed_id('target', n), 'Target ' || n, 'docker', seed_id('organization', (n + 1) / 2), seed_id('agent', 1),
         CASE WHEN n % 2 = 0 THEN seed_id('customer', n) END
  FROM seed, generate_series(1, 2 * organizations) AS n;
INSERT INTO deploymenttargetnotes (id, deployment_target_id, customer_organization_id, updated_by_useraccount_id, updated_at, notes)
  SELECT seed_id('notes', n), seed_id('target', n), CASE WHEN n % 2 = 0 THEN seed_id('customer', n) END, seed_id('user', n), moment, 'Rack ' || n
  FROM seed, generate_series(1, 2 * organizations) AS n;
INSERT INTO deployment (id, deployment_target_id, release_name, application_entitlement_id)
  SELECT seed_id('deployment', n), seed_id('target', (n + 1) / 2), 'release-' || n, CASE WHEN n % 2 = 0 THEN seed_id('entitlement', (n + 1) / 2) END
  FROM seed, generate_series(1, 4 * organizations) AS n;
INSERT INTO deploymentrevision (id, created_at, deployment_id, application_version_id, created_by_user_account_id)
  SELECT seed_id('revision', n), moment - interval '200 days' + n * interval '1 hour', seed_id('deployment', (n + 2) / 3),
         seed_id('version', (n + 1) / 2), seed_id('user', (n + 5) / 6)
  FROM seed, generate_series(1, 12 * organizations) AS n;
INSERT INTO customdomain (id, domain, organization_id)
  SELECT seed_id('domain', n), n || '.example.com', seed_id('organization', n) FROM seed, generate_series(1, organizations) AS n;
INSERT INTO customoidcconfiguration (id, organization_id, custom_domain_id, name, issuer)
  SELECT seed_id('oidc', n), seed_id('organization', n), seed_id('domain', n), 'Login', 'https://login.example.com'
  FROM seed, generate_series(1, organizations) AS n WHERE n % 2 = 0;
INSERT INTO oidcstate (id, created_at, pkce_code_verifier, custom_oidc_configuration_id, nonce)
  SELECT seed_id('state', n),
         CASE WHEN awkward AND n % 101 = 0 THEN NULL WHEN n % 3 = 0 THEN moment - n % 30 * interval '1 second'
              ELSE moment - interval '10 minutes' - gap - n * interval '1 second' END,
         'verifier', CASE WHEN n % 4 = 0 THEN seed_id('oidc', 2 + 2 * (n % (organizations / 2))) END, 'nonce'
  FROM seed, generate_series(1, states) AS n;
INSERT INTO useraccountoidcidentity (id, user_account_id, provider, issuer, subject, custom_oidc_configuration_id)
  SELECT seed_id(provider || 'identity', n), seed_id('user', n), provider::oidc_provider, 'https://' || provider || '.example.com', 'subject-' || n,
         CASE WHEN provider = 'custom' THEN seed_id('oidc', (n + 1) / 2) END
  FROM seed, generate_series(1, 2 * organizations) AS n, unnest(ARRAY['github', 'custom']) AS provider
  WHERE provider = 'github' OR (n + 1) / 2 % 2 = 0;
INSERT INTO alertconfiguration (id, organization_id, customer_organization_id, name)
  SELECT seed_id('alert', n), seed_id('organization', n), seed_id('customer', 2 * n), 'Alert' FROM seed, generate_series(1, organizations) AS n;
INSERT INTO alertconfiguration_deploymenttarget
  SELECT seed_id('alert', n), seed_id('target', 2 * n) FROM seed, generate_series(1, organizations) AS n;
INSERT INTO alertconfiguration_organization_useraccount
  SELECT seed_id('alert', n), seed_id('organization', n), seed_id('user', 2 * n) FROM seed, generate_series(1, organizations) AS n;
INSERT INTO artifact (id, name, organization_id)
  SELECT seed_id('artifact', n), 'artifact-' || n, seed_id('organization', (n + 1) / 2) FROM seed, generate_series(1, 2 * organizations) AS n;
INSERT INTO artifactversion (id, name, manifest_blob_digest, manifest_content_type, artifact_id, manifest_blob_size, created_by_useraccount_id)
  SELECT seed_id('artifactversion', n), CASE WHEN n % 2 = 0 THEN 'v' || n ELSE 'sha256:' || md5('m' || n) END, 'sha256:' || md5('m' || (n + 1) / 2),
         'application/vnd.oci.image.manifest.v1+json', seed_id('artifact', (n + 3) / 4), 1000, seed_id('user', (n + 3) / 4)
  FROM seed, generate_series(1, 8 * organizations) AS n;
INSERT INTO artifactversionpart
  SELECT seed_id('artifactversion', n), 'sha256:' || md5('layer' || n / 2 || part), 100000 FROM seed, generate_series(1, 8 * organizations) AS n, generate_series(1, 3) AS part;
INSERT INTO artifactversionpull (id, artifact_version_id, useraccount_id, customer_organization_id)
  SELECT seed_id('pull', n), seed_id('artifactversion', n), seed_id('user', (n + 3) / 4), seed_id('customer', (n + 3) / 4) FROM seed, generate_series(1, 8 * organizations) AS n;
INSERT INTO artifactentitlement (id, name, organization_id, customer_organization_id)
  SELECT seed_id('artifactentitlement', n), 'Entitlement', seed_id('organization', (n + 1) / 2), seed_id('customer', n)
  FROM seed, generate_series(1, 2 * organizations) AS n;
INSERT INTO artifactentitlement_artifact (id, artifact_entitlement_id, artifact_id, artifact_version_id)
  SELECT seed_id('entitledartifact', n), seed_id('artifactentitlement', n), seed_id('artifact', n), CASE WHEN n % 2 = 0 THEN seed_id('artifactversion', 4 * n) END
  FROM seed, generate_series(1, 2 * organizations) AS n;
-- Awkward: of seven deployments one has nothing but rows older than all others, one nothing fresh but hundreds at the very
-- same newest moment, one nothing that is expired; some have no status in their latest revision; some rows have no time.
INSERT INTO deploymentrevisionstatus (id, created_at, deployment_revision_id, type, message)
  SELECT seed_id('status', n),
         CASE WHEN NOT awkward THEN moment - age WHEN n % 997 = 0 THEN NULL
              ELSE moment - date_trunc('second', CASE deployment % 7 WHEN 1 THEN age + interval '90 hours' WHEN 3 THEN greatest(age, interval '80 hours')
                                                      WHEN 5 THEN least(age, interval '60 hours') ELSE age END) END,
         seed_id('revision', revision - CASE WHEN awkward AND deployment % 11 = 4 AND revision % 3 = 0 THEN 1 ELSE 0 END),
         (ARRAY['healthy', 'error', 'progressing', 'running'])[1 + n % 4]::deployment_status_type, 'status ' || n
  FROM seed, generate_series(1, statuses) AS n, LATERAL (SELECT 1 + n % (12 * organizations) AS revision, seed_age(n, statuses, gap) AS age) AS row,
       LATERAL (SELECT (revision + 2) / 3 AS deployment) AS its;
INSERT INTO deploymenttargetmetrics (id, created_at, deployment_target_id, cpu_cores_millis, cpu_usage, memory_bytes, memory_usage)
  SELECT seed_id('metrics', n),
         CASE WHEN NOT awkward THEN moment - age
              ELSE moment - date_trunc('second', CASE target % 7 WHEN 1 THEN age + interval '90 hours' WHEN 3 THEN greatest(age, interval '80 hours')
                                                      WHEN 5 THEN least(age, interval '60 hours') ELSE age END) END,
         seed_id('target', target), 4000, 0.25, 8589934592, 0.5
  FROM seed, generate_series(1, metrics) AS n, LATERAL (SELECT 1 + n % (2 * organizations) AS target, seed_age(n, metrics, gap) AS age) AS row;
INSERT INTO deploymenttargetdiskmetrics (id, deployment_target_metrics_id, device, path, fs_type, bytes_total, bytes_used)
  SELECT seed_id('disk', n), seed_id('metrics', 1 + (n - 1) % metrics), '/dev/sda' || n, '/', 'ext4', 500000000000, 100000000000
  FROM seed, generate_series(1, disks) AS n;
-- Awkward: the largest group has a sixth of the rows, the smallest a few hundred; group 7 has one single time, one group of
-- 13 has one time an hour; one group of ten has no resource; some rows have no time.
INSERT INTO deploymentlogrecord (id, created_at, deployment_id, deployment_revision_id, resource, "timestamp", severity, body)
  SELECT seed_id('log', n), said, seed_id('deployment', deployment), seed_id('revision', 3 * deployment - n % 3),
         CASE WHEN NOT awkward OR number % 10 < 9 THEN 'Deployment/app-' || number / (4 * organizations) END,
         CASE WHEN NOT awkward THEN said WHEN n % 1009 = 0 THEN NULL WHEN number = 7 THEN date_trunc('day', moment)
              WHEN number % 13 = 4 THEN date_trunc('hour', said) ELSE date_trunc('second', said - n % 60 * interval '1 second') END,
         'INFO', 'GET /api/v1/things/' || n || ' 200 in ' || n % 90 || ' ms for a client that said nothing else of interest'
  FROM seed, generate_series(1, logs) AS n,
       LATERAL (SELECT CASE WHEN awkward THEN floor(log_groups * seed_share(n) ^ 4)::integer ELSE n % log_groups END AS number,
                       moment - (logs - n) * interval '300 milliseconds' AS said) AS row,
       LATERAL (SELECT 1 + number % (4 * organizations) AS deployment) AS its;
INSERT INTO deploymenttargetlogrecord (id, created_at, deployment_target_id, "timestamp", severity, body)
  SELECT seed_id('targetlog', n), said AT TIME ZONE 'UTC', seed_id('target', target),
         (CASE WHEN NOT awkward THEN said WHEN target = 7 THEN date_trunc('day', moment) WHEN target % 13 = 4 THEN date_trunc('hour', said)
               ELSE date_trunc('second', said - n % 60 * interval '1 second') END) AT TIME ZONE 'UTC',
         'INFO', 'the agent has looked at its ' || n || ' resources and found nothing to do'
  FROM seed, generate_series(1, target_logs) AS n,
       LATERAL (SELECT CASE WHEN awkward THEN 1 + floor(2 * organizations * seed_share(n) ^ 2)::integer ELSE 1 + n % (2 * organizations) END AS target,
                       moment - (target_logs - n) * interval '900 milliseconds' AS said) AS row;
-- Of three notifications one is about statuses, one about metrics, one about neither.
INSERT INTO notificationrecord (id, created_at, organization_id, deployment_target_id, alert_configuration_id, message, type,
  previous_deployment_revision_status_id, current_deployment_revision_status_id, previous_deployment_target_metrics_id, current_deployment_target_metrics_id)
  SELECT seed_id('notification', n), moment AT TIME ZONE 'UTC', seed_id('organization', organization), seed_id('target', 2 * organization),
         seed_id('alert', organization), 'notification ' || n, 'alert', previous.id, current.id, before.id, after.id
  FROM seed CROSS JOIN generate_series(1, notifications) AS n CROSS JOIN LATERAL (SELECT 1 + n % organizations AS organization) AS row
  LEFT JOIN deploymentrevisionstatus AS previous ON n % 3 = 0 AND previous.id = seed_id('status', 1 + n::bigint * 7919 % greatest(statuses, 1))
  LEFT JOIN deploymentrevisionstatus AS current ON n % 3 = 0 AND current.id = seed_id('status', 1 + (n::bigint * 7919 + 12 * organizations) % greatest(statuses, 1))
  LEFT JOIN deploymenttargetmetrics AS before ON n % 3 = 1 AND n % 2 = 0 AND before.id = seed_id('metrics', 1 + n::bigint * 7919 % greatest(metrics, 1))
  LEFT JOIN deploymenttargetmetrics AS after ON n % 3 = 1 AND after.id = seed_id('metrics', 1 + (n::bigint * 7919 + 2 * organizations) % greatest(metrics, 1));
