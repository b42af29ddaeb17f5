//! Tag Crons. None of it is implemented yet, see [`not_implemented`].

use agent_server_api::{types, *};

use super::{Api, Result};
use crate::not_implemented;

impl Crons for Api {
    async fn create_thread_cron(
        &self,
        cx: Context,
        _path: CreateThreadCronPath,
        _body: Body<types::ThreadCronCreate>,
    ) -> Result<CreateThreadCronResponse> {
        Err(not_implemented::operation(&cx))
    }

    async fn create_cron(
        &self,
        cx: Context,
        _body: Body<types::CronCreate>,
    ) -> Result<CreateCronResponse> {
        Err(not_implemented::operation(&cx))
    }

    async fn search_crons(
        &self,
        cx: Context,
        _body: Body<types::CronSearch>,
    ) -> Result<SearchCronsResponse> {
        Err(not_implemented::operation(&cx))
    }

    async fn count_crons(
        &self,
        cx: Context,
        _body: Body<types::CronCountRequest>,
    ) -> Result<CountCronsResponse> {
        Err(not_implemented::operation(&cx))
    }

    async fn get_cron(&self, cx: Context, _path: GetCronPath) -> Result<GetCronResponse> {
        Err(not_implemented::operation(&cx))
    }

    async fn patch_cron(
        &self,
        cx: Context,
        _path: PatchCronPath,
        _body: Body<types::CronPatch>,
    ) -> Result<PatchCronResponse> {
        Err(not_implemented::operation(&cx))
    }

    async fn delete_cron(&self, cx: Context, _path: DeleteCronPath) -> Result<DeleteCronResponse> {
        Err(not_implemented::operation(&cx))
    }
}
