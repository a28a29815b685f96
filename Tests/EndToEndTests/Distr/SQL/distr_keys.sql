-- Keys, indexes and foreign keys of distr_tables.sql, with Distr's names: what its database has after its last migration,
-- as far as the columns are there. Indexes first, then foreign keys in the order in which Distr got them, since their
-- triggers fire in that order. Wants PostgreSQL 15, as Distr does, for NULLS NOT DISTINCT.
--
-- Every statement ends at the end of a line.
ALTER TABLE organization ADD CONSTRAINT organization_pkey PRIMARY KEY (id);
ALTER TABLE organization ADD CONSTRAINT organization_slug_key UNIQUE (slug);
ALTER TABLE file ADD CONSTRAINT file_pkey PRIMARY KEY (id);
ALTER TABLE useraccount ADD CONSTRAINT useraccount_pkey PRIMARY KEY (id);
ALTER TABLE useraccount ADD CONSTRAINT useraccount_email_key UNIQUE (email);
ALTER TABLE partnerorganization ADD CONSTRAINT partnerorganization_pkey PRIMARY KEY (id);
ALTER TABLE customerorganization ADD CONSTRAINT customerorganization_pkey PRIMARY KEY (id);
ALTER TABLE organization_useraccount ADD CONSTRAINT organization_useraccount_pkey PRIMARY KEY (organization_id, user_account_id);
ALTER TABLE organizationbranding ADD CONSTRAINT organizationbranding_pkey PRIMARY KEY (id);
ALTER TABLE organizationbranding ADD CONSTRAINT organizationbranding_organization_id_key UNIQUE (organization_id);
ALTER TABLE customemailconfiguration ADD CONSTRAINT customemailconfiguration_pkey PRIMARY KEY (id);
ALTER TABLE customemailconfiguration ADD CONSTRAINT customemailconfiguration_organization_unique UNIQUE (organization_id);
ALTER TABLE useraccount_tutorialprogress ADD CONSTRAINT useraccount_tutorialprogress_pkey PRIMARY KEY (useraccount_id, tutorial, organization_id);
ALTER TABLE sidebarlink ADD CONSTRAINT sidebarlink_pkey PRIMARY KEY (id);
ALTER TABLE licensetemplate ADD CONSTRAINT licensetemplate_pkey PRIMARY KEY (id);
ALTER TABLE licensetemplate ADD CONSTRAINT licensetemplate_organization_id_name_key UNIQUE (organization_id, name);
ALTER TABLE licensekey ADD CONSTRAINT licensekey_pkey PRIMARY KEY (id);
ALTER TABLE licensekey ADD CONSTRAINT licensekey_name_unique UNIQUE NULLS NOT DISTINCT (organization_id, customer_organization_id, name);
ALTER TABLE licensekeyrevision ADD CONSTRAINT licensekeyrevision_pkey PRIMARY KEY (id);
ALTER TABLE supportbundleconfigurationenvvar ADD CONSTRAINT supportbundleconfigurationenvvar_pkey PRIMARY KEY (organization_id, name);
ALTER TABLE supportbundle ADD CONSTRAINT supportbundle_pkey PRIMARY KEY (id);
ALTER TABLE supportbundleresource ADD CONSTRAINT supportbundleresource_pkey PRIMARY KEY (id);
ALTER TABLE supportbundlecomment ADD CONSTRAINT supportbundlecomment_pkey PRIMARY KEY (id);
ALTER TABLE accesstoken ADD CONSTRAINT accesstoken_pkey PRIMARY KEY (id);
ALTER TABLE accesstoken ADD CONSTRAINT accesstoken_key_key UNIQUE (key);
ALTER TABLE secret ADD CONSTRAINT secret_pkey PRIMARY KEY (id);
ALTER TABLE secret ADD CONSTRAINT unique_secret_key UNIQUE NULLS NOT DISTINCT (key, organization_id, customer_organization_id);
ALTER TABLE agentversion ADD CONSTRAINT agentversion_pkey PRIMARY KEY (id);
ALTER TABLE agentversion ADD CONSTRAINT agentversion_name_key UNIQUE (name);
ALTER TABLE application ADD CONSTRAINT application_pkey PRIMARY KEY (id);
ALTER TABLE applicationversion ADD CONSTRAINT applicationversion_pkey PRIMARY KEY (id);
ALTER TABLE applicationversion ADD CONSTRAINT name_unique UNIQUE (application_id, name);
ALTER TABLE applicationversionresource ADD CONSTRAINT applicationversionresource_pkey PRIMARY KEY (id);
ALTER TABLE applicationentitlement ADD CONSTRAINT applicationlicense_pkey PRIMARY KEY (id);
ALTER TABLE applicationentitlement ADD CONSTRAINT applicationentitlement_name_unique UNIQUE NULLS NOT DISTINCT (organization_id, customer_organization_id, name);
ALTER TABLE applicationentitlement_applicationversion ADD CONSTRAINT applicationlicense_applicationversion_pkey PRIMARY KEY (application_entitlement_id, application_version_id);
ALTER TABLE deploymenttarget ADD CONSTRAINT deploymenttarget_pkey PRIMARY KEY (id);
ALTER TABLE deploymenttargetnotes ADD CONSTRAINT deploymenttargetnotes_pkey PRIMARY KEY (id);
ALTER TABLE deploymenttargetnotes ADD CONSTRAINT deploymenttargetnotes_deployment_target_id_customer_organiz_key UNIQUE NULLS NOT DISTINCT (deployment_target_id, customer_organization_id);
ALTER TABLE deployment ADD CONSTRAINT deployment_pkey PRIMARY KEY (id);
ALTER TABLE deployment ADD CONSTRAINT release_name_unique UNIQUE (deployment_target_id, release_name);
ALTER TABLE deploymentrevision ADD CONSTRAINT deploymentrevision_pkey PRIMARY KEY (id);
ALTER TABLE deploymentrevisionstatus ADD CONSTRAINT deploymentrevisionstatus_pkey PRIMARY KEY (id);
ALTER TABLE deploymenttargetmetrics ADD CONSTRAINT deploymenttargetmetrics_pkey PRIMARY KEY (id);
ALTER TABLE deploymenttargetdiskmetrics ADD CONSTRAINT deploymenttargetdiskmetrics_pkey PRIMARY KEY (id);
ALTER TABLE deploymentlogrecord ADD CONSTRAINT deploymentlogrecord_pkey PRIMARY KEY (id);
ALTER TABLE deploymenttargetlogrecord ADD CONSTRAINT deploymenttargetlogrecord_pkey PRIMARY KEY (id);
ALTER TABLE customdomain ADD CONSTRAINT customdomain_pkey PRIMARY KEY (id);
ALTER TABLE customdomain ADD CONSTRAINT customdomain_domain_unique UNIQUE (domain);
ALTER TABLE customoidcconfiguration ADD CONSTRAINT customoidcconfiguration_pkey PRIMARY KEY (id);
ALTER TABLE customoidcconfiguration ADD CONSTRAINT customoidcconfiguration_org_name_unique UNIQUE (organization_id, name);
ALTER TABLE oidcstate ADD CONSTRAINT oidcstate_pkey PRIMARY KEY (id);
ALTER TABLE useraccountoidcidentity ADD CONSTRAINT useraccountoidcidentity_pkey PRIMARY KEY (id);
ALTER TABLE alertconfiguration ADD CONSTRAINT deploymentstatusnotificationconfiguration_pkey PRIMARY KEY (id);
ALTER TABLE alertconfiguration_deploymenttarget ADD CONSTRAINT deploymentstatusnotificationconfiguration_deploymenttarget_pkey PRIMARY KEY (alert_configuration_id, deployment_target_id);
ALTER TABLE alertconfiguration_organization_useraccount ADD CONSTRAINT deploymentstatusnotificationconfiguration_organization_use_pkey PRIMARY KEY (alert_configuration_id, organization_id, user_account_id);
ALTER TABLE notificationrecord ADD CONSTRAINT notificationrecord_pkey PRIMARY KEY (id);
ALTER TABLE artifact ADD CONSTRAINT artifact_pkey PRIMARY KEY (id);
ALTER TABLE artifact ADD CONSTRAINT artifact_unique_name UNIQUE (organization_id, name);
ALTER TABLE artifactversion ADD CONSTRAINT artifactversion_pkey PRIMARY KEY (id);
ALTER TABLE artifactversion ADD CONSTRAINT artifactversion_unique_name UNIQUE (artifact_id, name);
ALTER TABLE artifactversionpart ADD CONSTRAINT artifactversionpart_pkey PRIMARY KEY (artifact_version_id, artifact_blob_digest);
ALTER TABLE artifactversionpull ADD CONSTRAINT artifactversionpull_pkey PRIMARY KEY (id);
ALTER TABLE artifactentitlement ADD CONSTRAINT artifactlicense_pkey PRIMARY KEY (id);
ALTER TABLE artifactentitlement ADD CONSTRAINT artifactentitlement_name_unique UNIQUE NULLS NOT DISTINCT (organization_id, customer_organization_id, name);
ALTER TABLE artifactentitlement_artifact ADD CONSTRAINT artifactlicense_artifact_pkey PRIMARY KEY (id);
ALTER TABLE artifactentitlement_artifact ADD CONSTRAINT artifactentitlement_artifact_unique UNIQUE NULLS NOT DISTINCT (artifact_entitlement_id, artifact_id, artifact_version_id);
CREATE INDEX organization_slug ON organization (slug);
CREATE INDEX fk_file_organization_id ON file (organization_id);
CREATE INDEX fk_partnerorganization_organization_id ON partnerorganization (organization_id);
CREATE INDEX fk_customerorganization_organization_id ON customerorganization (organization_id);
CREATE INDEX fk_customerorganization_partner_organization_id ON customerorganization (partner_organization_id);
CREATE INDEX fk_organization_useraccount_user_account_id ON organization_useraccount (user_account_id);
CREATE INDEX fk_organization_useraccount_organization_id ON organization_useraccount (organization_id);
CREATE INDEX fk_organization_useraccount_customer_organization_id ON organization_useraccount (customer_organization_id);
CREATE INDEX fk_organization_useraccount_partner_organization_id ON organization_useraccount (partner_organization_id);
CREATE INDEX fk_organizationbranding_organization_id ON organizationbranding (organization_id);
CREATE UNIQUE INDEX idx_organizationbranding_app_domain ON organizationbranding (app_domain) WHERE app_domain IS NOT NULL;
CREATE INDEX useraccount_tutorialprogress_useraccount_id ON useraccount_tutorialprogress (useraccount_id);
CREATE INDEX fk_useraccount_tutorialprogress_organization_id ON useraccount_tutorialprogress (organization_id);
CREATE INDEX idx_sidebar_link_organization_id ON sidebarlink (organization_id);
CREATE INDEX idx_sidebar_link_customer_organization_id ON sidebarlink (customer_organization_id);
CREATE INDEX licensetemplate_organization_id_idx ON licensetemplate (organization_id);
CREATE INDEX idx_licensekey_organization_id ON licensekey (organization_id);
CREATE INDEX idx_licensekey_customer_organization_id ON licensekey (customer_organization_id);
CREATE INDEX idx_licensekeyrevision_license_key_id_created_at_desc ON licensekeyrevision (license_key_id, created_at DESC);
CREATE INDEX idx_support_bundle_org_id ON supportbundle (organization_id);
CREATE INDEX idx_support_bundle_customer_org_id ON supportbundle (customer_organization_id);
CREATE INDEX idx_support_bundle_resource_bundle_id ON supportbundleresource (support_bundle_id);
CREATE INDEX idx_support_bundle_comment_bundle_id ON supportbundlecomment (support_bundle_id);
CREATE INDEX accesstoken_key ON accesstoken (key);
CREATE INDEX fk_accesstoken_user_account_id ON accesstoken (user_account_id);
CREATE INDEX fk_accesstoken_organization_id ON accesstoken (organization_id);
CREATE INDEX idx_secret_organization_id_customer_organization_id ON secret (organization_id, customer_organization_id);
CREATE INDEX agentversion_name ON agentversion (name);
CREATE INDEX fk_application_organization_id ON application (organization_id);
CREATE INDEX fk_applicationversion_application_id ON applicationversion (application_id);
CREATE INDEX idx_application_version_resource_version_id ON applicationversionresource (application_version_id);
CREATE INDEX fk_applicationentitlement_organization_id ON applicationentitlement (organization_id);
CREATE INDEX fk_applicationentitlement_application_id ON applicationentitlement (application_id);
CREATE INDEX fk_applicationentitlement_customer_organization_id ON applicationentitlement (customer_organization_id);
CREATE INDEX fk_applicationentitlement_applicationversion_application_entitl ON applicationentitlement_applicationversion (application_entitlement_id);
CREATE INDEX fk_deploymenttarget_organization_id ON deploymenttarget (organization_id);
CREATE INDEX fk_deploymenttarget_customer_organization_id ON deploymenttarget (customer_organization_id);
CREATE INDEX fk_deploymenttarget_agent_version_id ON deploymenttarget (agent_version_id);
CREATE INDEX deploymenttargetnotes_deployment_customer_org_key ON deploymenttargetnotes (deployment_target_id, customer_organization_id);
CREATE INDEX fk_deployment_application_entitlement_id ON deployment (application_entitlement_id);
CREATE INDEX fk_deployment_deployment_target_id ON deployment (deployment_target_id);
CREATE INDEX fk_deploymentrevision_deployment_id ON deploymentrevision (deployment_id);
CREATE INDEX fk_deploymentrevision_application_version_id ON deploymentrevision (application_version_id);
CREATE INDEX fk_deploymentrevisionstatus_deployment_revision_id ON deploymentrevisionstatus (deployment_revision_id);
CREATE INDEX deploymentrevisionstatus_created_at ON deploymentrevisionstatus (deployment_revision_id, created_at DESC);
CREATE INDEX deploymenttargetmetrics_deployment_target_id_created_at_id ON deploymenttargetmetrics (deployment_target_id, created_at DESC, id);
CREATE INDEX deploymenttargetdiskmetrics_metrics_id ON deploymenttargetdiskmetrics (deployment_target_metrics_id);
CREATE INDEX fk_deploymentlogrecord_deployment_id ON deploymentlogrecord (deployment_id);
CREATE INDEX fk_deploymentlogrecord_deployment_revision_id ON deploymentlogrecord (deployment_revision_id);
CREATE INDEX deploymentlogrecord_deployment_id_resource_timestamp ON deploymentlogrecord (deployment_id, resource, "timestamp" DESC);
CREATE INDEX deploymentlogrecord_resource ON deploymentlogrecord (resource);
CREATE INDEX deploymentlogrecord_deployment_revision_id_resource ON deploymentlogrecord (deployment_revision_id, resource);
CREATE INDEX deploymenttargetlogrecord_deployment_target_id_timestamp ON deploymenttargetlogrecord (deployment_target_id, "timestamp" DESC);
CREATE INDEX fk_customdomain_organization_id ON customdomain (organization_id);
CREATE INDEX fk_customdomain_customer_organization_id ON customdomain (customer_organization_id);
CREATE UNIQUE INDEX customdomain_customer_organization_uq ON customdomain (organization_id, customer_organization_id) WHERE customer_organization_id IS NOT NULL;
CREATE INDEX fk_customoidcconfiguration_custom_domain_id ON customoidcconfiguration (custom_domain_id);
CREATE INDEX fk_customoidcconfiguration_organization_id ON customoidcconfiguration (organization_id);
CREATE INDEX fk_useraccountoidcidentity_user_account_id ON useraccountoidcidentity (user_account_id);
CREATE INDEX fk_useraccountoidcidentity_custom_oidc_configuration_id ON useraccountoidcidentity (custom_oidc_configuration_id);
CREATE UNIQUE INDEX useraccountoidcidentity_config_issuer_subject_uq ON useraccountoidcidentity (custom_oidc_configuration_id, issuer, subject) NULLS NOT DISTINCT;
CREATE INDEX idx_notification_record_config_prev_status_created ON notificationrecord (alert_configuration_id, previous_deployment_revision_status_id, created_at DESC);
CREATE INDEX idx_notification_record_org_customer_created ON notificationrecord (organization_id, customer_organization_id, created_at DESC);
CREATE INDEX fk_artifact_organization_id ON artifact (organization_id);
CREATE INDEX fk_artifactversion_artifact_id ON artifactversion (artifact_id);
CREATE INDEX artifactversion_manifest_blob_digest ON artifactversion (manifest_blob_digest);
CREATE INDEX fk_artifactversionpart_artifact_version_id ON artifactversionpart (artifact_version_id);
CREATE INDEX artifactversionpart_artifact_blob_digest ON artifactversionpart (artifact_blob_digest);
CREATE INDEX fk_artifactversionpull_artifact_version_id ON artifactversionpull (artifact_version_id);
CREATE INDEX fk_artifactversionpull_customer_organization_id ON artifactversionpull (customer_organization_id);
CREATE INDEX fk_artifactentitlement_organization_id ON artifactentitlement (organization_id);
CREATE INDEX fk_artifactentitlement_customer_organization_id ON artifactentitlement (customer_organization_id);
CREATE INDEX fk_artifactentitlement_artifact_artifact_entitlement_id ON artifactentitlement_artifact (artifact_entitlement_id);
CREATE INDEX fk_artifactentitlement_artifact_artifact_id ON artifactentitlement_artifact (artifact_id);
CREATE INDEX fk_artifactentitlement_artifact_artifact_version_id ON artifactentitlement_artifact (artifact_version_id);
ALTER TABLE organization_useraccount ADD CONSTRAINT organization_useraccount_organization_id_fkey
  FOREIGN KEY (organization_id) REFERENCES organization(id) ON DELETE CASCADE;
ALTER TABLE organization_useraccount ADD CONSTRAINT organization_useraccount_user_account_id_fkey
  FOREIGN KEY (user_account_id) REFERENCES useraccount(id) ON DELETE CASCADE;
ALTER TABLE application ADD CONSTRAINT application_organization_id_fkey
  FOREIGN KEY (organization_id) REFERENCES organization(id) ON DELETE CASCADE;
ALTER TABLE applicationversion ADD CONSTRAINT applicationversion_application_id_fkey
  FOREIGN KEY (application_id) REFERENCES application(id) ON DELETE CASCADE;
ALTER TABLE deploymenttarget ADD CONSTRAINT deploymenttarget_organization_id_fkey
  FOREIGN KEY (organization_id) REFERENCES organization(id) ON DELETE CASCADE;
ALTER TABLE deployment ADD CONSTRAINT deployment_deployment_target_id_fkey
  FOREIGN KEY (deployment_target_id) REFERENCES deploymenttarget(id) ON DELETE CASCADE;
ALTER TABLE organizationbranding ADD CONSTRAINT organizationbranding_organization_id_fkey
  FOREIGN KEY (organization_id) REFERENCES organization(id) ON DELETE CASCADE;
ALTER TABLE organizationbranding ADD CONSTRAINT organizationbranding_updated_by_user_account_id_fkey
  FOREIGN KEY (updated_by_user_account_id) REFERENCES useraccount(id) ON DELETE SET NULL;
ALTER TABLE deploymentrevision ADD CONSTRAINT deploymentrevision_deployment_id_fkey
  FOREIGN KEY (deployment_id) REFERENCES deployment(id) ON DELETE CASCADE;
ALTER TABLE deploymentrevisionstatus ADD CONSTRAINT deploymentrevisionstatus_deployment_revision_id_fkey
  FOREIGN KEY (deployment_revision_id) REFERENCES deploymentrevision(id) ON DELETE CASCADE;
ALTER TABLE deploymenttarget ADD CONSTRAINT deploymenttarget_agent_version_id_fkey
  FOREIGN KEY (agent_version_id) REFERENCES agentversion(id);
ALTER TABLE accesstoken ADD CONSTRAINT accesstoken_user_account_id_fkey
  FOREIGN KEY (user_account_id) REFERENCES useraccount(id) ON DELETE CASCADE;
ALTER TABLE applicationentitlement ADD CONSTRAINT applicationlicense_application_id_fkey
  FOREIGN KEY (application_id) REFERENCES application(id);
ALTER TABLE applicationentitlement ADD CONSTRAINT applicationlicense_organization_id_fkey
  FOREIGN KEY (organization_id) REFERENCES organization(id) ON DELETE CASCADE;
ALTER TABLE applicationentitlement_applicationversion ADD CONSTRAINT applicationlicense_applicationversi_application_license_id_fkey
  FOREIGN KEY (application_entitlement_id) REFERENCES applicationentitlement(id) ON DELETE CASCADE;
ALTER TABLE applicationentitlement_applicationversion ADD CONSTRAINT applicationlicense_applicationversi_application_version_id_fkey
  FOREIGN KEY (application_version_id) REFERENCES applicationversion(id) ON DELETE CASCADE;
ALTER TABLE artifactversion ADD CONSTRAINT artifactversion_created_by_useraccount_id_fkey
  FOREIGN KEY (created_by_useraccount_id) REFERENCES useraccount(id) ON DELETE SET NULL;
ALTER TABLE artifactversion ADD CONSTRAINT artifactversion_updated_by_useraccount_id_fkey
  FOREIGN KEY (updated_by_useraccount_id) REFERENCES useraccount(id) ON DELETE SET NULL;
ALTER TABLE artifactversionpart ADD CONSTRAINT artifactversionpart_artifact_version_id_fkey
  FOREIGN KEY (artifact_version_id) REFERENCES artifactversion(id) ON DELETE CASCADE;
ALTER TABLE artifactentitlement_artifact ADD CONSTRAINT artifactlicense_artifact_artifact_license_id_fkey
  FOREIGN KEY (artifact_entitlement_id) REFERENCES artifactentitlement(id) ON DELETE CASCADE;
ALTER TABLE artifactentitlement_artifact ADD CONSTRAINT artifactlicense_artifact_artifact_id_fkey
  FOREIGN KEY (artifact_id) REFERENCES artifact(id) ON DELETE CASCADE;
ALTER TABLE artifactentitlement_artifact ADD CONSTRAINT artifactlicense_artifact_artifact_version_id_fkey
  FOREIGN KEY (artifact_version_id) REFERENCES artifactversion(id) ON DELETE CASCADE;
ALTER TABLE artifactversionpull ADD CONSTRAINT artifactversionpull_artifact_version_id_fkey
  FOREIGN KEY (artifact_version_id) REFERENCES artifactversion(id) ON DELETE CASCADE;
ALTER TABLE artifactversionpull ADD CONSTRAINT artifactversionpull_useraccount_id_fkey
  FOREIGN KEY (useraccount_id) REFERENCES useraccount(id) ON DELETE SET NULL;
ALTER TABLE file ADD CONSTRAINT file_organization_id_fkey
  FOREIGN KEY (organization_id) REFERENCES organization(id) ON DELETE CASCADE;
ALTER TABLE useraccount ADD CONSTRAINT useraccount_image_id_fkey FOREIGN KEY (image_id) REFERENCES file(id) ON DELETE SET NULL;
ALTER TABLE application ADD CONSTRAINT application_image_id_fkey FOREIGN KEY (image_id) REFERENCES file(id) ON DELETE SET NULL;
ALTER TABLE artifact ADD CONSTRAINT artifact_image_id_fkey FOREIGN KEY (image_id) REFERENCES file(id) ON DELETE SET NULL;
ALTER TABLE useraccount_tutorialprogress ADD CONSTRAINT useraccount_tutorialprogress_useraccount_id_fkey
  FOREIGN KEY (useraccount_id) REFERENCES useraccount(id) ON DELETE CASCADE;
ALTER TABLE deploymenttargetmetrics ADD CONSTRAINT deploymenttargetmetrics_deployment_target_id_fkey
  FOREIGN KEY (deployment_target_id) REFERENCES deploymenttarget(id) ON DELETE CASCADE;
ALTER TABLE deploymentlogrecord ADD CONSTRAINT deploymentlogrecord_deployment_id_fkey
  FOREIGN KEY (deployment_id) REFERENCES deployment(id) ON DELETE CASCADE;
ALTER TABLE deploymentlogrecord ADD CONSTRAINT deploymentlogrecord_deployment_revision_id_fkey
  FOREIGN KEY (deployment_revision_id) REFERENCES deploymentrevision(id) ON DELETE CASCADE;
ALTER TABLE accesstoken ADD CONSTRAINT accesstoken_organization_id_fkey
  FOREIGN KEY (organization_id) REFERENCES organization(id) ON DELETE CASCADE;
ALTER TABLE useraccount_tutorialprogress ADD CONSTRAINT useraccount_tutorialprogress_organization_id_fkey
  FOREIGN KEY (organization_id) REFERENCES organization(id) ON DELETE CASCADE;
ALTER TABLE artifactversion ADD CONSTRAINT artifactversion_artifact_id_fkey
  FOREIGN KEY (artifact_id) REFERENCES artifact(id) ON DELETE CASCADE;
ALTER TABLE customerorganization ADD CONSTRAINT customerorganization_image_id_fkey FOREIGN KEY (image_id) REFERENCES file(id);
ALTER TABLE artifact ADD CONSTRAINT artifact_organization_id_fkey
  FOREIGN KEY (organization_id) REFERENCES organization(id) ON DELETE CASCADE;
ALTER TABLE customerorganization ADD CONSTRAINT customerorganization_organization_id_fkey
  FOREIGN KEY (organization_id) REFERENCES organization(id) ON DELETE CASCADE;
ALTER TABLE deploymentrevision ADD CONSTRAINT deploymentrevision_application_version_id_fkey
  FOREIGN KEY (application_version_id) REFERENCES applicationversion(id) DEFERRABLE;
ALTER TABLE secret ADD CONSTRAINT secret_updated_by_useraccount_id_fkey
  FOREIGN KEY (updated_by_useraccount_id) REFERENCES useraccount(id) ON DELETE SET NULL;
ALTER TABLE secret ADD CONSTRAINT secret_organization_id_fkey
  FOREIGN KEY (organization_id) REFERENCES organization(id) ON DELETE CASCADE;
ALTER TABLE secret ADD CONSTRAINT secret_customer_organization_id_fkey
  FOREIGN KEY (customer_organization_id) REFERENCES customerorganization(id) ON DELETE CASCADE;
ALTER TABLE deploymenttargetnotes ADD CONSTRAINT deploymenttargetnotes_deployment_target_id_fkey
  FOREIGN KEY (deployment_target_id) REFERENCES deploymenttarget(id) ON DELETE CASCADE;
ALTER TABLE deploymenttargetnotes ADD CONSTRAINT deploymenttargetnotes_customer_organization_id_fkey
  FOREIGN KEY (customer_organization_id) REFERENCES customerorganization(id) ON DELETE CASCADE;
ALTER TABLE deploymenttargetnotes ADD CONSTRAINT deploymenttargetnotes_updated_by_useraccount_id_fkey
  FOREIGN KEY (updated_by_useraccount_id) REFERENCES useraccount(id) ON DELETE SET NULL;
ALTER TABLE useraccount ADD CONSTRAINT useraccount_last_used_organization_id_fkey
  FOREIGN KEY (last_used_organization_id) REFERENCES organization(id) ON DELETE SET NULL;
ALTER TABLE deploymenttargetlogrecord ADD CONSTRAINT deploymenttargetlogrecord_deployment_target_id_fkey
  FOREIGN KEY (deployment_target_id) REFERENCES deploymenttarget(id) ON DELETE CASCADE;
ALTER TABLE artifactversionpull ADD CONSTRAINT artifactversionpull_customer_organization_id_fkey
  FOREIGN KEY (customer_organization_id) REFERENCES customerorganization(id) ON DELETE CASCADE;
ALTER TABLE organization_useraccount ADD CONSTRAINT organization_useraccount_customer_organization_id_fkey
  FOREIGN KEY (customer_organization_id) REFERENCES customerorganization(id) ON DELETE CASCADE;
ALTER TABLE deploymenttarget ADD CONSTRAINT deploymenttarget_customer_organization_id_fkey
  FOREIGN KEY (customer_organization_id) REFERENCES customerorganization(id) ON DELETE CASCADE;
ALTER TABLE alertconfiguration ADD CONSTRAINT deploymentstatusnotificationconfiguration_organization_id_fkey
  FOREIGN KEY (organization_id) REFERENCES organization(id) ON DELETE CASCADE;
ALTER TABLE alertconfiguration ADD CONSTRAINT deploymentstatusnotificationconfi_customer_organization_id_fkey
  FOREIGN KEY (customer_organization_id) REFERENCES customerorganization(id) ON DELETE CASCADE;
ALTER TABLE alertconfiguration_deploymenttarget ADD CONSTRAINT deploymentstatusnotificationc_deployment_status_notificati_fkey
  FOREIGN KEY (alert_configuration_id) REFERENCES alertconfiguration(id) ON DELETE CASCADE;
ALTER TABLE alertconfiguration_deploymenttarget ADD CONSTRAINT deploymentstatusnotificationconfigura_deployment_target_id_fkey
  FOREIGN KEY (deployment_target_id) REFERENCES deploymenttarget(id) ON DELETE CASCADE;
ALTER TABLE alertconfiguration_organization_useraccount ADD CONSTRAINT deploymentstatusnotification_deployment_status_notificati_fkey1
  FOREIGN KEY (alert_configuration_id) REFERENCES alertconfiguration(id) ON DELETE CASCADE;
ALTER TABLE alertconfiguration_organization_useraccount ADD CONSTRAINT deploymentstatusnotificationconfiguration__organization_id_fkey
  FOREIGN KEY (organization_id) REFERENCES organization(id) ON DELETE CASCADE;
ALTER TABLE alertconfiguration_organization_useraccount ADD CONSTRAINT deploymentstatusnotificationconfiguration__user_account_id_fkey
  FOREIGN KEY (user_account_id) REFERENCES useraccount(id) ON DELETE CASCADE;
ALTER TABLE alertconfiguration_organization_useraccount ADD CONSTRAINT deploymentstatusnotificationc_organization_id_user_account_fkey
  FOREIGN KEY (organization_id, user_account_id) REFERENCES organization_useraccount(organization_id, user_account_id) ON DELETE CASCADE;
ALTER TABLE notificationrecord ADD CONSTRAINT notificationrecord_organization_id_fkey
  FOREIGN KEY (organization_id) REFERENCES organization(id) ON DELETE CASCADE;
ALTER TABLE notificationrecord ADD CONSTRAINT notificationrecord_customer_organization_id_fkey
  FOREIGN KEY (customer_organization_id) REFERENCES customerorganization(id) ON DELETE CASCADE;
ALTER TABLE notificationrecord ADD CONSTRAINT notificationrecord_deployment_target_id_fkey
  FOREIGN KEY (deployment_target_id) REFERENCES deploymenttarget(id) ON DELETE CASCADE;
ALTER TABLE notificationrecord ADD CONSTRAINT notificationrecord_deployment_status_notification_configur_fkey
  FOREIGN KEY (alert_configuration_id) REFERENCES alertconfiguration(id) ON DELETE CASCADE;
ALTER TABLE notificationrecord ADD CONSTRAINT notificationrecord_previous_deployment_revision_status_id_fkey
  FOREIGN KEY (previous_deployment_revision_status_id) REFERENCES deploymentrevisionstatus(id) ON DELETE CASCADE;
ALTER TABLE notificationrecord ADD CONSTRAINT notificationrecord_current_deployment_revision_status_id_fkey
  FOREIGN KEY (current_deployment_revision_status_id) REFERENCES deploymentrevisionstatus(id) ON DELETE CASCADE;
ALTER TABLE applicationversionresource ADD CONSTRAINT applicationversionresource_application_version_id_fkey
  FOREIGN KEY (application_version_id) REFERENCES applicationversion(id) ON DELETE CASCADE;
ALTER TABLE licensekey ADD CONSTRAINT licensekey_organization_id_fkey
  FOREIGN KEY (organization_id) REFERENCES organization(id) ON DELETE CASCADE;
ALTER TABLE licensekey ADD CONSTRAINT licensekey_customer_organization_id_fkey
  FOREIGN KEY (customer_organization_id) REFERENCES customerorganization(id) ON DELETE CASCADE;
ALTER TABLE deployment ADD CONSTRAINT deployment_application_entitlement_id_fkey
  FOREIGN KEY (application_entitlement_id) REFERENCES applicationentitlement(id) DEFERRABLE;
ALTER TABLE applicationentitlement ADD CONSTRAINT applicationentitlement_customer_organization_id_fkey
  FOREIGN KEY (customer_organization_id) REFERENCES customerorganization(id) ON DELETE CASCADE;
ALTER TABLE artifactentitlement ADD CONSTRAINT artifactentitlement_customer_organization_id_fkey
  FOREIGN KEY (customer_organization_id) REFERENCES customerorganization(id) ON DELETE CASCADE;
ALTER TABLE artifactentitlement ADD CONSTRAINT artifactentitlement_organization_id_fkey
  FOREIGN KEY (organization_id) REFERENCES organization(id) ON DELETE CASCADE;
ALTER TABLE supportbundleconfigurationenvvar ADD CONSTRAINT supportbundleconfigurationenvvar_organization_id_fkey
  FOREIGN KEY (organization_id) REFERENCES organization(id) ON DELETE CASCADE;
ALTER TABLE supportbundle ADD CONSTRAINT supportbundle_organization_id_fkey
  FOREIGN KEY (organization_id) REFERENCES organization(id) ON DELETE CASCADE;
ALTER TABLE supportbundle ADD CONSTRAINT supportbundle_customer_organization_id_fkey
  FOREIGN KEY (customer_organization_id) REFERENCES customerorganization(id) ON DELETE CASCADE;
ALTER TABLE supportbundle ADD CONSTRAINT supportbundle_created_by_user_account_id_fkey
  FOREIGN KEY (created_by_user_account_id) REFERENCES useraccount(id);
ALTER TABLE supportbundle ADD CONSTRAINT supportbundle_status_changed_by_user_account_id_fkey
  FOREIGN KEY (status_changed_by_user_account_id) REFERENCES useraccount(id);
ALTER TABLE supportbundleresource ADD CONSTRAINT supportbundleresource_support_bundle_id_fkey
  FOREIGN KEY (support_bundle_id) REFERENCES supportbundle(id) ON DELETE CASCADE;
ALTER TABLE supportbundlecomment ADD CONSTRAINT supportbundlecomment_support_bundle_id_fkey
  FOREIGN KEY (support_bundle_id) REFERENCES supportbundle(id) ON DELETE CASCADE;
ALTER TABLE supportbundlecomment ADD CONSTRAINT supportbundlecomment_user_account_id_fkey
  FOREIGN KEY (user_account_id) REFERENCES useraccount(id);
ALTER TABLE deploymenttargetdiskmetrics ADD CONSTRAINT deploymenttargetdiskmetrics_deployment_target_metrics_id_fkey
  FOREIGN KEY (deployment_target_metrics_id) REFERENCES deploymenttargetmetrics(id) ON DELETE CASCADE;
ALTER TABLE notificationrecord ADD CONSTRAINT notificationrecord_previous_deployment_target_metrics_id_fkey
  FOREIGN KEY (previous_deployment_target_metrics_id) REFERENCES deploymenttargetmetrics(id) ON DELETE CASCADE;
ALTER TABLE notificationrecord ADD CONSTRAINT notificationrecord_current_deployment_target_metrics_id_fkey
  FOREIGN KEY (current_deployment_target_metrics_id) REFERENCES deploymenttargetmetrics(id) ON DELETE CASCADE;
ALTER TABLE licensekeyrevision ADD CONSTRAINT licensekeyrevision_license_key_id_fkey
  FOREIGN KEY (license_key_id) REFERENCES licensekey(id) ON DELETE CASCADE;
ALTER TABLE sidebarlink ADD CONSTRAINT sidebarlink_organization_id_fkey
  FOREIGN KEY (organization_id) REFERENCES organization(id) ON DELETE CASCADE;
ALTER TABLE sidebarlink ADD CONSTRAINT sidebarlink_customer_organization_id_fkey
  FOREIGN KEY (customer_organization_id) REFERENCES customerorganization(id) ON DELETE CASCADE;
ALTER TABLE licensetemplate ADD CONSTRAINT licensetemplate_organization_id_fkey
  FOREIGN KEY (organization_id) REFERENCES organization(id) ON DELETE CASCADE;
ALTER TABLE licensekey ADD CONSTRAINT licensekey_license_template_id_fkey
  FOREIGN KEY (license_template_id) REFERENCES licensetemplate(id) ON DELETE SET NULL;
ALTER TABLE partnerorganization ADD CONSTRAINT partnerorganization_organization_id_fkey
  FOREIGN KEY (organization_id) REFERENCES organization(id) ON DELETE CASCADE;
ALTER TABLE customerorganization ADD CONSTRAINT customerorganization_partner_organization_id_fkey
  FOREIGN KEY (partner_organization_id) REFERENCES partnerorganization(id) ON DELETE SET NULL;
ALTER TABLE organization_useraccount ADD CONSTRAINT organization_useraccount_partner_organization_id_fkey
  FOREIGN KEY (partner_organization_id) REFERENCES partnerorganization(id) ON DELETE CASCADE;
ALTER TABLE deploymentrevision ADD CONSTRAINT deploymentrevision_created_by_user_account_id_fkey
  FOREIGN KEY (created_by_user_account_id) REFERENCES useraccount(id) ON DELETE SET NULL;
ALTER TABLE organizationbranding ADD CONSTRAINT organizationbranding_logo_image_id_fkey
  FOREIGN KEY (logo_image_id) REFERENCES file(id) ON DELETE SET NULL;
ALTER TABLE organizationbranding ADD CONSTRAINT organizationbranding_favicon_image_id_fkey
  FOREIGN KEY (favicon_image_id) REFERENCES file(id) ON DELETE SET NULL;
ALTER TABLE customdomain ADD CONSTRAINT customdomain_organization_id_fkey
  FOREIGN KEY (organization_id) REFERENCES organization(id) ON DELETE CASCADE;
ALTER TABLE useraccountoidcidentity ADD CONSTRAINT useraccountoidcidentity_user_account_id_fkey
  FOREIGN KEY (user_account_id) REFERENCES useraccount(id) ON DELETE CASCADE;
ALTER TABLE customemailconfiguration ADD CONSTRAINT customemailconfiguration_updated_by_user_account_id_fkey
  FOREIGN KEY (updated_by_user_account_id) REFERENCES useraccount(id) ON DELETE SET NULL;
ALTER TABLE customemailconfiguration ADD CONSTRAINT customemailconfiguration_organization_id_fkey
  FOREIGN KEY (organization_id) REFERENCES organization(id) ON DELETE CASCADE;
ALTER TABLE customoidcconfiguration ADD CONSTRAINT customoidcconfiguration_organization_id_fkey
  FOREIGN KEY (organization_id) REFERENCES organization(id) ON DELETE CASCADE;
ALTER TABLE customoidcconfiguration ADD CONSTRAINT customoidcconfiguration_custom_domain_id_fkey
  FOREIGN KEY (custom_domain_id) REFERENCES customdomain(id) ON DELETE RESTRICT;
ALTER TABLE useraccountoidcidentity ADD CONSTRAINT useraccountoidcidentity_custom_oidc_configuration_id_fkey
  FOREIGN KEY (custom_oidc_configuration_id) REFERENCES customoidcconfiguration(id) ON DELETE CASCADE;
ALTER TABLE oidcstate ADD CONSTRAINT oidcstate_custom_oidc_configuration_id_fkey
  FOREIGN KEY (custom_oidc_configuration_id) REFERENCES customoidcconfiguration(id) ON DELETE CASCADE;
ALTER TABLE customdomain ADD CONSTRAINT customdomain_customer_organization_id_fkey
  FOREIGN KEY (customer_organization_id) REFERENCES customerorganization(id) ON DELETE CASCADE;
