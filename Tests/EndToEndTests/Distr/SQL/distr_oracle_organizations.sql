-- What Organization leaves: organizations that were not deleted, or in the last 30 days; of all other tables what belongs to
-- one of those. User accounts stay, without an organization or a picture that is gone, and without the identities that the
-- login of such an organization gave them.
CREATE TABLE survivors.organization AS
  SELECT organization.* FROM organization, seed
  WHERE deleted_at IS NULL OR deleted_at >= (moment AT TIME ZONE 'UTC') - interval '720 hours';
CREATE TABLE survivors.file AS SELECT * FROM file WHERE organization_id IN (SELECT id FROM survivors.organization);
CREATE TABLE survivors.useraccount AS
  SELECT u.id, u.created_at, u.email, u.name, f.id AS image_id, o.id AS last_used_organization_id
  FROM useraccount AS u LEFT JOIN survivors.file AS f ON f.id = u.image_id
  LEFT JOIN survivors.organization AS o ON o.id = u.last_used_organization_id;
CREATE TABLE survivors.partnerorganization AS SELECT * FROM partnerorganization WHERE organization_id IN (SELECT id FROM survivors.organization);
CREATE TABLE survivors.customerorganization AS SELECT * FROM customerorganization WHERE organization_id IN (SELECT id FROM survivors.organization);
CREATE TABLE survivors.organization_useraccount AS SELECT * FROM organization_useraccount WHERE organization_id IN (SELECT id FROM survivors.organization);
CREATE TABLE survivors.organizationbranding AS SELECT * FROM organizationbranding WHERE organization_id IN (SELECT id FROM survivors.organization);
CREATE TABLE survivors.customemailconfiguration AS SELECT * FROM customemailconfiguration WHERE organization_id IN (SELECT id FROM survivors.organization);
CREATE TABLE survivors.useraccount_tutorialprogress AS SELECT * FROM useraccount_tutorialprogress WHERE organization_id IN (SELECT id FROM survivors.organization);
CREATE TABLE survivors.sidebarlink AS SELECT * FROM sidebarlink WHERE organization_id IN (SELECT id FROM survivors.organization);
CREATE TABLE survivors.licensetemplate AS SELECT * FROM licensetemplate WHERE organization_id IN (SELECT id FROM survivors.organization);
CREATE TABLE survivors.licensekey AS SELECT * FROM licensekey WHERE organization_id IN (SELECT id FROM survivors.organization);
CREATE TABLE survivors.licensekeyrevision AS SELECT * FROM licensekeyrevision WHERE license_key_id IN (SELECT id FROM survivors.licensekey);
CREATE TABLE survivors.supportbundleconfigurationenvvar AS
  SELECT * FROM supportbundleconfigurationenvvar WHERE organization_id IN (SELECT id FROM survivors.organization);
CREATE TABLE survivors.supportbundle AS SELECT * FROM supportbundle WHERE organization_id IN (SELECT id FROM survivors.organization);
CREATE TABLE survivors.supportbundleresource AS SELECT * FROM supportbundleresource WHERE support_bundle_id IN (SELECT id FROM survivors.supportbundle);
CREATE TABLE survivors.supportbundlecomment AS SELECT * FROM supportbundlecomment WHERE support_bundle_id IN (SELECT id FROM survivors.supportbundle);
CREATE TABLE survivors.accesstoken AS SELECT * FROM accesstoken WHERE organization_id IN (SELECT id FROM survivors.organization);
CREATE TABLE survivors.secret AS SELECT * FROM secret WHERE organization_id IN (SELECT id FROM survivors.organization);
CREATE TABLE survivors.application AS SELECT * FROM application WHERE organization_id IN (SELECT id FROM survivors.organization);
CREATE TABLE survivors.applicationversion AS SELECT * FROM applicationversion WHERE application_id IN (SELECT id FROM survivors.application);
CREATE TABLE survivors.applicationversionresource AS
  SELECT * FROM applicationversionresource WHERE application_version_id IN (SELECT id FROM survivors.applicationversion);
CREATE TABLE survivors.applicationentitlement AS SELECT * FROM applicationentitlement WHERE organization_id IN (SELECT id FROM survivors.organization);
CREATE TABLE survivors.applicationentitlement_applicationversion AS
  SELECT * FROM applicationentitlement_applicationversion WHERE application_entitlement_id IN (SELECT id FROM survivors.applicationentitlement);
CREATE TABLE survivors.deploymenttarget AS SELECT * FROM deploymenttarget WHERE organization_id IN (SELECT id FROM survivors.organization);
CREATE TABLE survivors.deploymenttargetnotes AS SELECT * FROM deploymenttargetnotes WHERE deployment_target_id IN (SELECT id FROM survivors.deploymenttarget);
CREATE TABLE survivors.deployment AS SELECT * FROM deployment WHERE deployment_target_id IN (SELECT id FROM survivors.deploymenttarget);
CREATE TABLE survivors.deploymentrevision AS SELECT * FROM deploymentrevision WHERE deployment_id IN (SELECT id FROM survivors.deployment);
CREATE TABLE survivors.deploymentrevisionstatus AS
  SELECT * FROM deploymentrevisionstatus WHERE deployment_revision_id IN (SELECT id FROM survivors.deploymentrevision);
CREATE TABLE survivors.deploymenttargetmetrics AS SELECT * FROM deploymenttargetmetrics WHERE deployment_target_id IN (SELECT id FROM survivors.deploymenttarget);
CREATE TABLE survivors.deploymenttargetdiskmetrics AS
  SELECT * FROM deploymenttargetdiskmetrics WHERE deployment_target_metrics_id IN (SELECT id FROM survivors.deploymenttargetmetrics);
CREATE TABLE survivors.deploymentlogrecord AS SELECT * FROM deploymentlogrecord WHERE deployment_id IN (SELECT id FROM survivors.deployment);
CREATE TABLE survivors.deploymenttargetlogrecord AS
  SELECT * FROM deploymenttargetlogrecord WHERE deployment_target_id IN (SELECT id FROM survivors.deploymenttarget);
CREATE TABLE survivors.customdomain AS SELECT * FROM customdomain WHERE organization_id IN (SELECT id FROM survivors.organization);
CREATE TABLE survivors.customoidcconfiguration AS SELECT * FROM customoidcconfiguration WHERE organization_id IN (SELECT id FROM survivors.organization);
CREATE TABLE survivors.oidcstate AS
  SELECT * FROM oidcstate WHERE custom_oidc_configuration_id IS NULL OR custom_oidc_configuration_id IN (SELECT id FROM survivors.customoidcconfiguration);
CREATE TABLE survivors.useraccountoidcidentity AS
  SELECT * FROM useraccountoidcidentity
  WHERE custom_oidc_configuration_id IS NULL OR custom_oidc_configuration_id IN (SELECT id FROM survivors.customoidcconfiguration);
CREATE TABLE survivors.alertconfiguration AS SELECT * FROM alertconfiguration WHERE organization_id IN (SELECT id FROM survivors.organization);
CREATE TABLE survivors.alertconfiguration_deploymenttarget AS
  SELECT * FROM alertconfiguration_deploymenttarget WHERE alert_configuration_id IN (SELECT id FROM survivors.alertconfiguration);
CREATE TABLE survivors.alertconfiguration_organization_useraccount AS
  SELECT * FROM alertconfiguration_organization_useraccount WHERE organization_id IN (SELECT id FROM survivors.organization);
CREATE TABLE survivors.notificationrecord AS
  SELECT * FROM notificationrecord WHERE organization_id IN (SELECT id FROM survivors.organization)
    AND (previous_deployment_revision_status_id IS NULL OR previous_deployment_revision_status_id IN (SELECT id FROM survivors.deploymentrevisionstatus))
    AND (current_deployment_revision_status_id IS NULL OR current_deployment_revision_status_id IN (SELECT id FROM survivors.deploymentrevisionstatus))
    AND (previous_deployment_target_metrics_id IS NULL OR previous_deployment_target_metrics_id IN (SELECT id FROM survivors.deploymenttargetmetrics))
    AND (current_deployment_target_metrics_id IS NULL OR current_deployment_target_metrics_id IN (SELECT id FROM survivors.deploymenttargetmetrics));
CREATE TABLE survivors.artifact AS SELECT * FROM artifact WHERE organization_id IN (SELECT id FROM survivors.organization);
CREATE TABLE survivors.artifactversion AS SELECT * FROM artifactversion WHERE artifact_id IN (SELECT id FROM survivors.artifact);
CREATE TABLE survivors.artifactversionpart AS SELECT * FROM artifactversionpart WHERE artifact_version_id IN (SELECT id FROM survivors.artifactversion);
CREATE TABLE survivors.artifactversionpull AS SELECT * FROM artifactversionpull WHERE artifact_version_id IN (SELECT id FROM survivors.artifactversion);
CREATE TABLE survivors.artifactentitlement AS SELECT * FROM artifactentitlement WHERE organization_id IN (SELECT id FROM survivors.organization);
CREATE TABLE survivors.artifactentitlement_artifact AS
  SELECT * FROM artifactentitlement_artifact WHERE artifact_entitlement_id IN (SELECT id FROM survivors.artifactentitlement);
