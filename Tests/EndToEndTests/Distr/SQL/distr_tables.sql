-- Distr's tables as they are after its last migration (github.com/distr-sh/distr 815379e0c, migrations 0 to 122): columns,
-- types, NULLs and defaults of what its clean-up jobs touch and of what goes by cascade with an organization. Columns and
-- tables that no key, rule or cascade has to do with are left out.
--
-- Keys, indexes and foreign keys are in distr_keys.sql, to be created after the rows. Names go by the search path.
-- Every statement ends at the end of a line.
CREATE TYPE deployment_type AS ENUM ('docker', 'kubernetes');
CREATE TYPE deployment_status_type AS ENUM ('healthy', 'error', 'progressing', 'running');
CREATE TYPE notification_record_type AS ENUM ('alert', 'warning', 'resolved');
CREATE TYPE user_role AS ENUM ('read_only', 'read_write', 'admin');
CREATE TYPE tutorial AS ENUM ('branding', 'agents', 'registry', 'users');
CREATE TYPE support_bundle_status AS ENUM ('initialized', 'created', 'resolved', 'canceled');
CREATE TYPE oidc_provider AS ENUM ('github', 'google', 'microsoft', 'generic', 'custom');
CREATE TABLE organization (
  id uuid NOT NULL DEFAULT gen_random_uuid(), created_at timestamp DEFAULT current_timestamp, name text NOT NULL, slug text,
  subscription_ends_at timestamptz NOT NULL DEFAULT now() + interval '1 mon', deleted_at timestamptz);
CREATE TABLE file (
  id uuid NOT NULL DEFAULT gen_random_uuid(), created_at timestamp NOT NULL DEFAULT current_timestamp, organization_id uuid,
  content_type text NOT NULL, data bytea NOT NULL, file_name text NOT NULL, file_size integer NOT NULL);
CREATE TABLE useraccount (
  id uuid NOT NULL DEFAULT gen_random_uuid(), created_at timestamp DEFAULT current_timestamp, email text NOT NULL, name text,
  image_id uuid, last_used_organization_id uuid);
CREATE TABLE partnerorganization (
  id uuid NOT NULL DEFAULT gen_random_uuid(), created_at timestamp NOT NULL DEFAULT current_timestamp,
  organization_id uuid NOT NULL, name text NOT NULL);
CREATE TABLE customerorganization (
  id uuid NOT NULL DEFAULT gen_random_uuid(), created_at timestamp DEFAULT current_timestamp, organization_id uuid NOT NULL,
  image_id uuid, name text NOT NULL, partner_organization_id uuid);
CREATE TABLE organization_useraccount (
  organization_id uuid NOT NULL, user_account_id uuid NOT NULL, created_at timestamp DEFAULT current_timestamp,
  customer_organization_id uuid, user_role user_role NOT NULL DEFAULT 'admin', partner_organization_id uuid);
CREATE TABLE organizationbranding (
  id uuid NOT NULL DEFAULT gen_random_uuid(), created_at timestamp DEFAULT current_timestamp, organization_id uuid NOT NULL,
  updated_at timestamp DEFAULT current_timestamp, updated_by_user_account_id uuid, title text, description text,
  app_domain text, registry_domain text, email_from_address text, logo_image_id uuid, page_title text, favicon_image_id uuid);
CREATE TABLE customemailconfiguration (
  id uuid NOT NULL DEFAULT gen_random_uuid(), created_at timestamp NOT NULL DEFAULT current_timestamp,
  updated_at timestamp NOT NULL DEFAULT current_timestamp, updated_by_user_account_id uuid, organization_id uuid NOT NULL,
  enabled boolean NOT NULL DEFAULT true, from_address text NOT NULL, smtp_host text NOT NULL, smtp_port integer NOT NULL,
  smtp_username text NOT NULL DEFAULT '', smtp_password text NOT NULL DEFAULT '', smtp_implicit_tls boolean NOT NULL DEFAULT false);
CREATE TABLE useraccount_tutorialprogress (
  useraccount_id uuid NOT NULL, tutorial tutorial NOT NULL, events jsonb, created_at timestamp DEFAULT current_timestamp,
  completed_at timestamp, organization_id uuid NOT NULL);
CREATE TABLE sidebarlink (
  id uuid NOT NULL DEFAULT gen_random_uuid(), created_at timestamp DEFAULT now(), organization_id uuid NOT NULL,
  customer_organization_id uuid, name text NOT NULL, link text NOT NULL);
CREATE TABLE licensetemplate (
  id uuid NOT NULL DEFAULT gen_random_uuid(), created_at timestamp NOT NULL DEFAULT current_timestamp, name text NOT NULL,
  organization_id uuid NOT NULL, payload_template text NOT NULL, expiration_grace_period_days integer NOT NULL DEFAULT 0);
CREATE TABLE licensekey (
  id uuid NOT NULL DEFAULT gen_random_uuid(), created_at timestamp NOT NULL DEFAULT current_timestamp, name text NOT NULL,
  description text, organization_id uuid NOT NULL, customer_organization_id uuid, license_template_id uuid);
CREATE TABLE licensekeyrevision (
  id uuid NOT NULL DEFAULT gen_random_uuid(), created_at timestamp NOT NULL DEFAULT current_timestamp,
  license_key_id uuid NOT NULL, not_before timestamp NOT NULL, expires_at timestamp NOT NULL,
  payload jsonb NOT NULL DEFAULT '{}');
CREATE TABLE supportbundleconfigurationenvvar (
  organization_id uuid NOT NULL, name text NOT NULL, redacted boolean NOT NULL DEFAULT false);
CREATE TABLE supportbundle (
  id uuid NOT NULL DEFAULT gen_random_uuid(), created_at timestamp NOT NULL DEFAULT now(), organization_id uuid NOT NULL,
  customer_organization_id uuid NOT NULL, created_by_user_account_id uuid NOT NULL, title text NOT NULL, description text,
  status support_bundle_status NOT NULL DEFAULT 'initialized', bundle_secret text NOT NULL,
  bundle_secret_expires_at timestamp, status_changed_by_user_account_id uuid, status_changed_at timestamp);
CREATE TABLE supportbundleresource (
  id uuid NOT NULL DEFAULT gen_random_uuid(), created_at timestamp NOT NULL DEFAULT now(), support_bundle_id uuid NOT NULL,
  name text NOT NULL, content text NOT NULL);
CREATE TABLE supportbundlecomment (
  id uuid NOT NULL DEFAULT gen_random_uuid(), created_at timestamp NOT NULL DEFAULT now(), support_bundle_id uuid NOT NULL,
  user_account_id uuid NOT NULL, content text NOT NULL);
CREATE TABLE accesstoken (
  id uuid NOT NULL DEFAULT gen_random_uuid(), created_at timestamp DEFAULT current_timestamp, expires_at timestamp,
  key bytea NOT NULL, user_account_id uuid NOT NULL, organization_id uuid NOT NULL);
CREATE TABLE secret (
  id uuid NOT NULL DEFAULT gen_random_uuid(), created_at timestamp DEFAULT now(), updated_by_useraccount_id uuid,
  key text NOT NULL, value text NOT NULL, organization_id uuid NOT NULL, customer_organization_id uuid);
CREATE TABLE agentversion (id uuid NOT NULL DEFAULT gen_random_uuid(), name text NOT NULL);
CREATE TABLE application (
  id uuid NOT NULL DEFAULT gen_random_uuid(), created_at timestamp DEFAULT current_timestamp, name text NOT NULL,
  type deployment_type NOT NULL, organization_id uuid NOT NULL, image_id uuid);
CREATE TABLE applicationversion (
  id uuid NOT NULL DEFAULT gen_random_uuid(), created_at timestamp DEFAULT current_timestamp, name text NOT NULL,
  application_id uuid NOT NULL, archived_at timestamp);
CREATE TABLE applicationversionresource (
  id uuid NOT NULL DEFAULT gen_random_uuid(), application_version_id uuid NOT NULL, name text NOT NULL, content text NOT NULL,
  visible_to_customers boolean NOT NULL DEFAULT false);
CREATE TABLE applicationentitlement (
  id uuid NOT NULL DEFAULT gen_random_uuid(), created_at timestamp DEFAULT current_timestamp, name text NOT NULL,
  expires_at timestamp, application_id uuid NOT NULL, organization_id uuid NOT NULL, customer_organization_id uuid);
CREATE TABLE applicationentitlement_applicationversion (
  application_entitlement_id uuid NOT NULL, application_version_id uuid NOT NULL);
CREATE TABLE deploymenttarget (
  id uuid NOT NULL DEFAULT gen_random_uuid(), created_at timestamp DEFAULT current_timestamp, name text NOT NULL,
  type deployment_type NOT NULL, organization_id uuid NOT NULL, agent_version_id uuid NOT NULL, customer_organization_id uuid);
CREATE TABLE deploymenttargetnotes (
  id uuid NOT NULL DEFAULT gen_random_uuid(), deployment_target_id uuid, customer_organization_id uuid,
  updated_by_useraccount_id uuid, updated_at timestamp NOT NULL, notes text NOT NULL);
CREATE TABLE deployment (
  id uuid NOT NULL DEFAULT gen_random_uuid(), created_at timestamp DEFAULT current_timestamp, deployment_target_id uuid NOT NULL,
  release_name text, application_entitlement_id uuid);
CREATE TABLE deploymentrevision (
  id uuid NOT NULL DEFAULT gen_random_uuid(), created_at timestamp DEFAULT current_timestamp, deployment_id uuid NOT NULL,
  application_version_id uuid NOT NULL, created_by_user_account_id uuid);
CREATE TABLE deploymentrevisionstatus (
  id uuid NOT NULL DEFAULT gen_random_uuid(), created_at timestamp DEFAULT current_timestamp,
  deployment_revision_id uuid NOT NULL, type deployment_status_type NOT NULL, message text NOT NULL);
CREATE TABLE deploymenttargetmetrics (
  id uuid NOT NULL DEFAULT gen_random_uuid(), created_at timestamp NOT NULL DEFAULT current_timestamp,
  deployment_target_id uuid NOT NULL, cpu_cores_millis bigint NOT NULL, cpu_usage float8 NOT NULL,
  memory_bytes bigint NOT NULL, memory_usage float8 NOT NULL);
CREATE TABLE deploymenttargetdiskmetrics (
  id uuid NOT NULL DEFAULT gen_random_uuid(), deployment_target_metrics_id uuid NOT NULL, device text NOT NULL,
  path text NOT NULL, fs_type text NOT NULL, bytes_total bigint NOT NULL, bytes_used bigint NOT NULL);
CREATE TABLE deploymentlogrecord (
  id uuid NOT NULL DEFAULT gen_random_uuid(), created_at timestamp DEFAULT current_timestamp, deployment_id uuid NOT NULL,
  deployment_revision_id uuid NOT NULL, resource text, "timestamp" timestamp, severity text, body text);
CREATE TABLE deploymenttargetlogrecord (
  id uuid NOT NULL DEFAULT gen_random_uuid(), created_at timestamptz NOT NULL DEFAULT now(), deployment_target_id uuid NOT NULL,
  "timestamp" timestamptz NOT NULL, severity text NOT NULL, body text NOT NULL);
CREATE TABLE customdomain (
  id uuid NOT NULL DEFAULT gen_random_uuid(), created_at timestamp NOT NULL DEFAULT current_timestamp, domain text NOT NULL,
  organization_id uuid NOT NULL, customer_organization_id uuid);
CREATE TABLE customoidcconfiguration (
  id uuid NOT NULL DEFAULT gen_random_uuid(), created_at timestamp NOT NULL DEFAULT current_timestamp,
  organization_id uuid NOT NULL, custom_domain_id uuid NOT NULL, name text NOT NULL, issuer text NOT NULL);
CREATE TABLE oidcstate (
  id uuid NOT NULL DEFAULT gen_random_uuid(), created_at timestamp DEFAULT current_timestamp, pkce_code_verifier text,
  custom_oidc_configuration_id uuid, nonce text);
CREATE TABLE useraccountoidcidentity (
  id uuid NOT NULL DEFAULT gen_random_uuid(), created_at timestamp NOT NULL DEFAULT current_timestamp,
  user_account_id uuid NOT NULL, provider oidc_provider NOT NULL, issuer text NOT NULL, subject text NOT NULL, email text,
  last_login_at timestamp, custom_oidc_configuration_id uuid);
CREATE TABLE alertconfiguration (
  id uuid NOT NULL DEFAULT gen_random_uuid(), created_at timestamptz NOT NULL DEFAULT now(), organization_id uuid NOT NULL,
  customer_organization_id uuid, name text NOT NULL);
CREATE TABLE alertconfiguration_deploymenttarget (alert_configuration_id uuid NOT NULL, deployment_target_id uuid NOT NULL);
CREATE TABLE alertconfiguration_organization_useraccount (
  alert_configuration_id uuid NOT NULL, organization_id uuid NOT NULL, user_account_id uuid NOT NULL);
CREATE TABLE notificationrecord (
  id uuid NOT NULL DEFAULT gen_random_uuid(), created_at timestamptz NOT NULL DEFAULT now(), organization_id uuid NOT NULL,
  customer_organization_id uuid, deployment_target_id uuid, alert_configuration_id uuid,
  previous_deployment_revision_status_id uuid, current_deployment_revision_status_id uuid, message text NOT NULL,
  type notification_record_type NOT NULL, metric_type text, previous_deployment_target_metrics_id uuid,
  current_deployment_target_metrics_id uuid);
CREATE TABLE artifact (
  id uuid NOT NULL DEFAULT gen_random_uuid(), created_at timestamp DEFAULT current_timestamp, name text NOT NULL,
  organization_id uuid NOT NULL, image_id uuid);
CREATE TABLE artifactversion (
  id uuid NOT NULL DEFAULT gen_random_uuid(), created_at timestamp DEFAULT current_timestamp, created_by_useraccount_id uuid,
  updated_at timestamp DEFAULT current_timestamp, updated_by_useraccount_id uuid, name text NOT NULL,
  manifest_blob_digest text NOT NULL, manifest_content_type text NOT NULL, artifact_id uuid NOT NULL,
  manifest_blob_size bigint NOT NULL, manifest_data bytea);
CREATE TABLE artifactversionpart (
  artifact_version_id uuid NOT NULL, artifact_blob_digest text NOT NULL, artifact_blob_size bigint NOT NULL);
CREATE TABLE artifactversionpull (
  id uuid NOT NULL DEFAULT gen_random_uuid(), created_at timestamp DEFAULT current_timestamp, artifact_version_id uuid NOT NULL,
  useraccount_id uuid, remote_address text, customer_organization_id uuid);
CREATE TABLE artifactentitlement (
  id uuid NOT NULL DEFAULT gen_random_uuid(), created_at timestamp DEFAULT current_timestamp, name text NOT NULL,
  expires_at timestamp, organization_id uuid NOT NULL, customer_organization_id uuid);
CREATE TABLE artifactentitlement_artifact (
  id uuid NOT NULL DEFAULT gen_random_uuid(), artifact_entitlement_id uuid NOT NULL, artifact_id uuid NOT NULL,
  artifact_version_id uuid);
