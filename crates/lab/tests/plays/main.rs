//! Every play of the demo by the machines alone, under virtual time: each client of the programme in each row of the
//! behaviour table, the rules around it, and the stories that are told of them. The list is [`lab::plays`].
#![allow(
    clippy::unwrap_used,
    clippy::unchecked_time_subtraction,
    unreachable_pub,
    missing_docs,
    reason = "tests and their helpers"
)]

// By the name that it has everywhere else in the workspace.
extern crate reveille_lab as lab;

mod calls;
mod chats;
mod messages;
mod moves;
mod offers;
mod platforms;
mod programme;
mod rules;
mod stories;

use lab::plays::Play;

/// Every play, and what tests it: a play that is left out does not compile.
macro_rules! plays {
    ($($play:ident => $part:ident::$test:ident;)*) => {
        $(
            #[test]
            fn $test() {
                $part::$test();
            }
        )*

        const _: fn(Play) = |play| match play {
            $(Play::$play)|* => {}
        };

        #[test]
        fn the_list_of_plays_leaves_none_out() {
            assert_eq!(Play::ALL, [$(Play::$play),*]);
        }
    };
}

plays! {
    ForegroundCall => calls::a_phone_in_front_rings_over_sip_at_once_and_drops_the_push_as_a_duplicate;
    ForegroundMessage => messages::a_phone_in_front_gets_a_message_over_its_connection_and_no_push;
    SuspendedCall => calls::a_sleeping_phone_is_woken_by_the_push_and_the_held_invite_rings_it;
    SuspendedMessage => messages::messages_for_a_sleeping_phone_are_kept_pushed_and_fetched_in_order_on_a_tap;
    ForegroundChat => chats::a_phone_in_front_gets_a_message_over_its_stream_once_and_no_push;
    SuspendedChat => chats::messages_for_a_sleeping_client_are_kept_pushed_and_had_in_order_by_resumption;
    ForegroundOffer => offers::a_phone_in_front_rings_over_its_stream_once_and_drops_the_push;
    SuspendedOffer => offers::a_sleeping_phone_is_woken_by_the_push_or_opened_for_it_and_the_proposal_that_waits_rings_it;
    Away => chats::a_user_is_away_for_others_while_all_their_clients_sleep_and_back_when_one_is;
    CallerHearsRinging => rules::the_caller_of_a_phone_that_says_nothing_hears_ringing_after_5_s;
    WakeFails => rules::the_caller_of_a_phone_that_says_nothing_hears_480_after_13_s;
    WakeFailsWithForward => rules::a_call_that_wakes_nobody_goes_to_the_users_fallback_after_13_s;
    TokenDead => rules::a_dead_token_sends_the_call_to_the_fallback_at_once_is_never_pushed_to_again_and_a_new_one_heals;
    AnsweredElsewhere => rules::answered_on_one_device_the_others_stop_and_learn_why_and_one_on_its_way_learns_by_push;
    CallerGivesUp => rules::a_caller_who_gives_up_closes_callkit_by_invite_and_cancel_and_a_missed_call_is_pushed;
    Burst => rules::a_burst_of_messages_is_two_pushes_5_s_apart_and_another_conversation_one_more;
    OfferTakenElsewhere => offers::taken_on_one_device_the_others_stop_by_a_copy_and_one_on_its_way_by_push;
    OfferGivenUp => offers::a_caller_who_gives_up_closes_callkit_by_proposal_and_retraction_and_a_missed_call_is_pushed;
    BothDoors => offers::each_phone_rings_once_a_call_by_the_door_that_the_call_is_for;
    ChatBurst => offers::a_burst_over_xmpp_is_two_pushes_5_s_apart;
    MovesAsleep => moves::a_phone_that_moves_asleep_is_woken_where_it_is;
    MovesInCall => moves::a_phone_that_moves_in_a_call_is_found_there_and_either_can_end_it;
    MovesAsleepOverXmpp => moves::a_client_that_moves_asleep_goes_on_where_it_was_and_misses_nothing;
    MovesInFront => moves::a_phone_with_both_doors_moves_in_front_and_nothing_is_lost_or_comes_twice;
    PlatformRules => platforms::no_app_is_killed_or_woken_for_nothing_and_no_cloud_is_offended;
}
