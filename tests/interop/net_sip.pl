# A phone made of Net::SIP: perl net_sip.pl PORT PROTO (call URI TONE HEARD | echo). Ends with "over: WHY".
use strict;
use warnings;
use Net::SIP qw(:all);

$| = 1;
my ($port, $proto, $does, $uri, $tone, $heard) = @ARGV;
my $leg = Net::SIP::Leg->new(addr => '127.0.0.1', port => $port, proto => $proto);
my $phone = Net::SIP::Simple->new(from => 'sip:perl@127.0.0.1', leg => $leg);
my ($over, $refused, $left);

if ($does eq 'echo') {
    $phone->listen(init_media => $phone->rtp('media_recv_echo'), recv_bye => \$over);
    print "listening\n";
    $phone->loop(30, \$over);
} else {
    my $media = $phone->rtp('media_send_recv', $tone, 0, $heard);
    my $call = $phone->invite($uri, init_media => $media, recv_bye => \$over, cb_noanswer => \$refused);
    $phone->loop(2, \$over, \$refused) unless $phone->error;
    $call->bye(cb_final => \$left) if $call and not $over;
    $phone->loop(5, \$left, \$over) if $call;
}
print 'over: ', ($over ? 'they hung up' : $left ? 'we hung up' : 'no answer'), "\n";
