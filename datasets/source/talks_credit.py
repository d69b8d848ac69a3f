"""Consultations about loans, cards, saving and pensions."""

from sheet import nice
from talk import sheet, talk


@talk("loans", "loan-then-early", "prepayment")
def loan_then_early(t):
    a, r, y = t.pick([60000, 80000, 120000, 150000]), t.pick(["4.5", 5, 6]), t.pick([3, 4, 5])
    part, f = t.pick([20000, 30000, 40000]), t.pick([1, 2])
    one, two = sheet(), sheet()
    one.line("每年利息", "Interest a year", f"{a} × {r}%")
    one.line(f"{y}年利息", f"Interest over {y} years", f"{a} × {r}% × {y}")
    t.turn([f"我想借{a}元，{y}年后一次还本，每年付息，年利率{r}%。利息一共要付多少？", f"有笔{a}元的贷款，年利率{r}%，按年付息、{y}年到期还本，总利息是多少？"],
           [f"I want to borrow ${a} for {y} years, interest paid yearly at {r}%, principal at the end. How much interest is that?", f"A loan of ${a} at {r}% pays interest every year and principal after {y} years. What is the total interest?"],
           "先付息、到期还本时，本金一直没有减少：", "With principal due at the end, the balance never falls:", one)
    t.turn(["如果中途有钱了，能提前还一部分吗？", "要是明年有余钱，可以先还一点吗？"],
           ["If I have money later, can I repay part of it early?", "May I pay back some of it next year if I can?"],
           ["多数合同允许，但要看三点：是否收违约金、最低还款额是多少、是否需要提前申请。请以合同条款为准。", "通常可以申请，不过有的合同会收违约金，或者规定借款满一段时间才行，先看合同再决定。"],
           ["Most contracts allow it, but check three things: whether there is a charge, the smallest amount accepted, and how much notice is needed. The contract decides.", "Usually you can apply, though some contracts charge for it or only allow it after a certain time. Read the contract first."])
    i = two.line("省下的利息", "Interest saved", f"{part} × {r}% × ({y} − 1)")
    c = two.line("违约金", "Charge", f"{part} × {f}%")
    two.line("净节省", "Net saving", f"{i} − {c}")
    t.turn([f"假如一年后还{part}元，违约金是还款额的{f}%，能省多少？", f"满一年时先还{part}元，要付{f}%的违约金，划算吗？"],
           [f"Suppose I repay ${part} after one year and the charge is {f}% of it. What do I save?", f"If I pay ${part} at the end of year one with a charge of {f}%, is it worthwhile?"],
           "", "", two,
           "前提是这笔钱没有收益更高的稳妥用途，并且已留好应急资金。", "This holds if the money has no safer and better use and an emergency fund is kept.")


@talk("loans", "choose-repayment", "equal-principal")
def choose_repayment(t):
    n, m = t.pick([24, 36, 48]), t.pick(["0.3", "0.4", "0.5"])
    a = n * t.pick([1000, 1500, 2000, 2500])
    s = sheet()
    t.turn(["等额本息和等额本金，我该选哪一个？", "贷款经理问我选等额本息还是等额本金，有什么差别？"],
           ["Equal instalments or equal principal, which should I take?", "The bank asks whether I want equal instalments or equal principal. What differs?"],
           ["等额本息每月金额相同，便于安排；等额本金前期还得多，但本金降得快，总利息较少。收入稳定且不宽裕选前者，前期宽裕选后者。", "看现金流：想每月一样多，选等额本息；前期负担得起较高月供、想少付利息，选等额本金。"],
           ["Equal instalments are the same each month and easy to plan. Equal principal costs more at first, but the balance falls faster and total interest is lower. Choose by the room in your budget.", "Look at your cash flow: for a level payment take equal instalments; if you can bear higher payments at first and want less interest, take equal principal."])
    p = s.line("每月本金", "Principal a month", f"{a} ÷ {n}")
    f = s.line("第一个月", "First month", f"{p} + {a} × {m}%")
    l = s.line("最后一个月", "Last month", f"{p} + {p} × {m}%")
    s.line("相差", "Difference", f"{f} − {l}")
    t.turn([f"我借{a}元，{n}个月，月利率{m}%。按等额本金，头一个月和最后一个月各还多少？"],
           [f"I borrow ${a} for {n} months at {m}% a month. With equal principal, what are the first and the last payment?"], "", "", s)
    i = sheet()
    i.line("总利息", "Total interest", f"{a} × {m}% × ({n} + 1) ÷ 2")
    t.turn(["那总利息是多少？", "这样一共要付多少利息？"], ["And the total interest?", "How much interest is that altogether?"],
           "利息逐月等额递减，用首尾平均即可：", "Interest falls by the same step each month, so the average of first and last is enough:", i)


@talk("loans", "afford-home", "loan-to-value")
def afford_home(t):
    price, q, inc = t.pick([900000, 1200000, 1500000]), t.pick([60, 70, 80]), t.pick([14000, 16000, 20000])
    pay = t.pick([4500, 5200, 6000])
    one, two = sheet(), sheet()
    loan = one.line("最高贷款", "Largest loan", f"{price} × {q}%")
    one.line("首付", "Down payment", f"{price} − {loan}")
    t.turn([f"房子{price}元，银行说贷款价值比最高{q}%，首付要准备多少？", f"想买{price}元的房，最多能贷{q}%，我至少要拿出多少首付？"],
           [f"The flat costs ${price} and the bank lends up to {q}% of it. What down payment do I need?", f"I want to buy for ${price} with a loan of at most {q}%. How much must I put down?"], "", "", one)
    two.line("月供占收入", "Payment as a share of income", f"{pay} ÷ {inc}", "percent")
    t.turn([f"月供大概{pay}元，我们家月收入{inc}元，压力大不大？"], [f"The payment would be about ${pay} and we earn ${inc} a month. Is that heavy?"], "", "", two,
           ["各家机构的上限不同。除了比例，还要看收入是否稳定、有没有其他债务，以及还完后剩下的钱够不够生活和应急。", "没有适合所有家庭的标准，可以试算收入减少两成、利率上升一点时还能不能撑住。"],
           ["Lenders set different limits. Besides the ratio, ask whether income is steady, what other debts there are, and whether enough is left to live on.", "No single limit suits every family. Test whether you could still pay if income fell by a fifth or the rate rose a little."])
    t.turn(["除了首付，还要留什么钱？", "手里的钱全拿去付首付行吗？"], ["What else should I set aside besides the down payment?", "Can I put all my cash into the down payment?"],
           ["还要留出税费、装修和搬家的钱，另备几个月开支的应急资金。全部投入首付，一旦失业或生病就容易断供。", "不建议。买房还有税费和装修支出，应急资金也不能动用，否则收入一中断就可能还不上月供。"],
           ["Taxes and fees, moving and repairs, and an emergency fund for several months. If everything goes into the deposit, illness or job loss may stop the payments.", "Better not. Taxes, fees and repairs follow, and without a reserve one break in income may lead to missed payments."])


@talk("loans", "missed-payment", "default")
def missed_payment(t):
    a, days, d = t.pick([2400, 3200, 4100, 5600]), t.pick([6, 9, 15]), t.pick(["0.02", "0.03", "0.05"])
    s = sheet()
    t.turn(["我忘了还这个月的贷款，会怎么样？", "月供日过了我才想起来没存钱，后果严重吗？"],
           ["I forgot this month's loan payment. What happens?", "The due date passed and the account was empty. How serious is it?"],
           ["先尽快补上。一般会产生罚息，有的机构有几天宽限期；超过宽限期可能记入信用报告。", "越早补越好：多数合同会对逾期部分加收罚息，是否上报信用记录要看宽限期的规定。"],
           ["Pay it as soon as you can. Penalty interest is usual; some lenders allow a few days of grace, after which the delay may enter your credit report.", "The sooner you pay the better. Most contracts charge penalty interest, and whether the credit record suffers depends on the grace period."])
    x = s.line("罚息", "Penalty interest", f"{a} × {d}% × {days}")
    s.line("合计", "Total", f"{a} + {x}")
    t.turn([f"月供{a}元，晚了{days}天，罚息日利率{d}%，我要还多少？"], [f"The instalment is ${a}, I am {days} days late and the penalty is {d}% a day. What do I owe?"],
           "不计复利时：", "Without compounding:", s)
    t.turn(["最近收入少了，下个月可能也还不上。", "说实话，后面几个月我都有点吃力。"], ["My income has dropped and next month will be hard too.", "To be honest, the coming months will be tight."],
           ["请在到期之前联系贷款机构，说明原因并准备收入证明，申请展期、先付利息或延长期限。不要借新的高息债来还旧债。", "主动找贷款方协商比等逾期好：可以问能否调整还款计划。同时列出必要开支，先停掉可省的支出，也别碰来路不明的“代办”中介。"],
           ["Contact the lender before the due date, explain, bring proof of income, and ask for an extension, interest-only months or a longer term. Do not take dearer debt to pay the old one.", "Talking first is better than falling behind: ask for a changed schedule, cut what can be cut, and stay away from unknown agents who offer to arrange it."])


@talk("loans", "friend-guarantee", "guarantor")
def friend_guarantee(t):
    a, q = t.pick([50000, 80000, 100000, 200000]), t.pick([40, 60, 70])
    s = sheet()
    t.turn([f"朋友要贷{a}元，让我做保证人，只是签个字，有风险吗？", f"同事请我为他的{a}元贷款担保，说只是走个形式，能签吗？"],
           [f"A friend is borrowing ${a} and asks me to be guarantor, just a signature. Is there a risk?", f"A colleague wants me to guarantee a loan of ${a} and calls it a formality. May I sign?"],
           ["有。他还不上时，你要按约定替他还，你的信用记录也可能受影响。签字之前先想清楚：这笔钱全由你来还，你承受得起吗？", "担保不是形式，而是一份还款承诺。若他违约，贷款机构可以要求你偿还，所以应按“可能要自己还”来评估。"],
           ["Yes. If your friend does not pay, you must, and your own credit record may suffer. Before signing ask whether you could repay it all yourself.", "A guarantee is no formality but a promise to pay. If he defaults the lender can turn to you, so judge it as a debt of your own."])
    left = s.line("尚未归还", "Still owed", f"{a} × (1 − {q}%)")
    s.line("我若月还2000元，需要", "At $2000 a month I need", f"{left} ÷ 2000", "month")
    t.turn([f"如果他还了{q}%以后不还了，我每月能拿出2000元，要还多久？不计利息。"],
           [f"If he stops after repaying {q}%, and I can spare $2000 a month, how long would I pay, interest aside?"], "", "", s)
    t.turn(["那我怎么回绝比较好？", "不签又怕伤感情，怎么办？"], ["How do I say no kindly?", "I do not want to hurt him. What can I do?"],
           ["可以直说自己有负债和家庭责任，不能承担额外债务；也可以帮他梳理预算、比较贷款方案，或介绍他咨询正规机构。", "坦诚说明承受不起这份风险即可。愿意帮忙的话，可以陪他看看有没有抵押、缩小贷款金额等办法。"],
           ["Say openly that you have duties of your own and cannot carry more debt. You can still help with a budget or with comparing lenders.", "It is enough to say that you cannot bear the risk. You might help him look for collateral or a smaller loan instead."])


@talk("loans", "consolidate")
def consolidate(t):
    x, y = t.pick([(20000, 15000), (30000, 20000), (24000, 12000)])
    p, q, r = t.pick([18, 20]), t.pick([15, 16]), t.pick([8, 9, 10])
    s, u = sheet(), sheet()
    a = s.line("第一笔", "First debt", f"{x} × {p}%")
    b = s.line("第二笔", "Second debt", f"{y} × {q}%")
    c = s.line("每年合计", "Together a year", f"{a} + {b}")
    t.turn([f"我有两笔债：{x}元年利率{p}%，{y}元年利率{q}%。一年利息多少？先不算还本。"],
           [f"I owe ${x} at {p}% and ${y} at {q}%. How much interest is that a year, leaving principal aside?"], "", "", s)
    d = u.line("新贷款年利息", "Interest on the new loan", f"({x} + {y}) × {r}%")
    u.line("每年少付", "Saved a year", f"{c} − {d}")
    t.turn([f"有银行愿意以{r}%贷给我把两笔都还清，能省多少？"], [f"A bank offers {r}% to pay off both. What would I save?"], "", "", u,
           "还要扣掉手续费和提前还款的费用再比较。", "Take off fees and any prepayment charge before comparing.")
    t.turn(["合并以后要注意什么？", "那我是不是就轻松了？"], ["What should I watch afterwards?", "Does that solve it?"],
           ["别把期限拉得太长，否则月供变小、总利息却可能更多；原来的信用卡额度也不要再刷满。", "只有不再增加新债才算解决。请对比总利息而不只是月供，并给自己定一个还清日期。"],
           ["Do not stretch the term too far: a smaller payment may mean more interest in all. And do not fill the old cards again.", "Only if no new debt follows. Compare total interest, not just the payment, and set yourself a date to be free of debt."])


@talk("cards", "minimum-only", "minimum-payment")
def minimum_only(t):
    a, q = t.pick([6000, 8000, 10000, 12000]), t.pick([5, 10])
    s, u = sheet(), sheet()
    m = s.line("最低还款额", "Minimum payment", f"{a} × {q}%")
    t.turn([f"账单{a}元，最低还款比例{q}%，最低要还多少？", f"这期信用卡欠{a}元，按{q}%算，最低还款额是多少？"],
           [f"My bill is ${a} and the minimum is {q}%. What is the least I can pay?", f"I owe ${a} on the card. At {q}%, what is the minimum payment?"], "", "", s)
    t.turn(["只还最低会不会影响信用？", "按最低还，算逾期吗？"], ["Does paying the minimum hurt my credit?", "Does the minimum count as late?"],
           ["按时足额还最低一般不算逾期，但剩余部分会计息，很多发卡行从交易入账日起算，并取消当期免息。", "通常不算逾期，不过没还的部分要付利息，长期这样成本很高，额度使用率也一直偏高。"],
           ["Paid in time it usually is not late, but the rest bears interest, with many issuers from the day of each purchase, and the interest-free period is lost.", "Usually not late. But the unpaid part costs interest, month after month, and your utilization stays high."])
    left = u.line("未还部分", "Unpaid part", f"{a} − {m}")
    i = u.line("30天利息", "Interest for 30 days", f"{left} × 0.05% × 30")
    u.line("若持续一年，约", "Over a year, about", f"{i} × 12")
    t.turn(["那没还的部分，按日利率0.05%，一个月利息大概多少？一直这样一年呢？"],
           ["At 0.05% a day, what does the unpaid part cost in a month, and in a year if it stays like that?"], "为便于估算，假设余额不变、不计复利：", "As an estimate with a constant balance and no compounding:", u)


@talk("cards", "instalment-true-cost", "instalment-fee")
def instalment_true_cost(t):
    a, f, n = t.pick([6000, 9000, 12000, 18000]), t.pick(["0.5", "0.6", "0.75"]), 12
    s, u = sheet(), sheet()
    x = s.line("总手续费", "Total fee", f"{a} × {f}% × {n}")
    s.line("每期还款", "Each payment", f"({a} + {x}) ÷ {n}")
    t.turn([f"{a}元账单分{n}期，每期手续费{f}%，每个月还多少？", f"信用卡{a}元分{n}期，费率每期{f}%，月供是多少？"],
           [f"A ${a} bill in {n} instalments at {f}% each: what do I pay a month?", f"If I split ${a} into {n} parts with a fee of {f}% per part, what is each payment?"], "", "", s)
    v = u.line("平均欠款", "Average debt", f"{a} × ({n} + 1) ÷ ({n} × 2)")
    u.line("近似年化", "Approximate yearly rate", f"{x} ÷ {v}", "percent")
    t.turn([f"一年才{nice(f'{f} × {n}')}%，好像不贵？", "那就等于年利率是费率乘以12吧？"],
           [f"So just {nice(f'{f} × {n}')}% a year, that seems cheap?", "So the yearly rate is the fee times twelve?"],
           "不是。每期都在还本金，平均欠款只有一半左右，手续费却按全额收：", "No. Principal falls each month, so the average debt is about half, while the fee stays on the full amount:", u)
    t.turn(["那什么时候才适合分期？", "所以分期就不能用吗？"], ["When does paying in parts make sense, then?", "So should one never use it?"],
           ["一次还清有困难、又没有更便宜的借款渠道时，它能避免逾期。只要手头宽裕，全额还款最省。", "可以用，但要当作一笔贷款来比较成本；若优惠期真正免手续费，并且不诱导多消费，才算便宜。"],
           ["When you cannot pay at once and have no cheaper credit, it avoids a late payment. If you have the money, pay in full.", "It can be used, but compare it as a loan. A truly fee-free offer that does not tempt you to buy more may be fine."])


@talk("cards", "lost-card", "card-security-code")
def lost_card(t):
    a, b = t.pick([(860, 1240), (420, 980), (1500, 2300), (330, 670)])
    s = sheet()
    t.turn(["我的信用卡丢了，第一步做什么？", "钱包不见了，里面有信用卡，怎么办？"], ["My credit card is lost. What first?", "My wallet with a credit card is gone. What now?"],
           ["马上通过官方客服电话或手机银行挂失，再看最近的交易，必要时报警并保留回执。", "先挂失，越快越好；只打卡片背面或官网上的号码，不要用陌生短信里的电话。"],
           ["Block it at once by the bank's official number or app, then check recent transactions and, if needed, file a police report and keep the receipt.", "Block it, the sooner the better. Use only the number from the bank's own website, not one from a text message."])
    s.line("有争议的金额", "Disputed amount", f"{a} + {b}")
    t.turn([f"账单上有两笔不是我消费的，一笔{a}元、一笔{b}元，一共多少？能追回吗？"],
           [f"Two charges of ${a} and ${b} are not mine. How much is that, and can I get it back?"], "", "", s,
           ["尽快向发卡行提出否认交易的申请，并提交挂失时间、报案回执等材料。能否追回、谁来承担，要看当地规则和合同约定。", "请立即书面提出争议并要求调查。是否退还取决于挂失时间、有无泄露密码以及当地规定，不能一概而论。"],
           ["Dispute both with the issuer soon and hand in the time of blocking and the police receipt. Who bears the loss depends on local rules and the contract.", "Dispute them in writing and ask for an inquiry. The result depends on when you blocked the card, whether a code was given away, and local rules."])
    t.turn(["刚才有人自称银行客服，要我报卡背面的三位数和验证码。", "有个电话说能帮我退款，但要我念短信验证码。"],
           ["Someone who says he is from the bank wants the three digits on the card and a text code.", "A caller offers a refund if I read out the code in a text message."],
           ["不要给。真正的银行不会索要安全码和短信验证码，这多半是诈骗。挂断后自己拨打官方电话核实。", "这是常见骗术，请直接挂断。验证码等于付款确认，任何人都不能告诉；已经说出去的，立刻联系银行冻结账户。"],
           ["Do not tell. A real bank never asks for the security code or a text code; this is most likely fraud. Hang up and call the official number yourself.", "That is a common trick, so hang up. A code confirms a payment and is for no one else. If you did tell it, have the account blocked at once."])


@talk("savings", "deposit-plan", "time-deposit")
def deposit_plan(t):
    a, part = t.pick([(60000, 20000), (90000, 30000), (120000, 40000), (150000, 50000)])
    r1, r2, r3 = t.pick([("1.5", "1.8", "2.2"), ("1.6", 2, "2.4")])
    s = sheet()
    t.turn([f"我有{a}元想存定期，又怕中途要用钱，怎么存好？", f"{a}元存三年定期利率高，可万一急用怎么办？"],
           [f"I want to put ${a} into term deposits but might need some of it. How?", f"A three-year deposit of ${a} pays more, but what if I need the money?"],
           [f"可以分成三份，每份{part}元，分别存一年、两年、三年。每年都有一笔到期，既保留流动性，又能拿到较高利率。", f"试试阶梯存法：把钱均分三份各{part}元，期限一、二、三年，到期的再转存三年。"],
           [f"Split it into three parts of ${part} for one, two and three years. One part matures each year, which keeps you flexible at a better rate.", f"Try a ladder: three equal parts of ${part} for one, two and three years, each renewed for three years when it matures."])
    x = s.line("一年期", "One year", f"{part} × {r1}%")
    y = s.line("两年期每年", "Two years, a year", f"{part} × {r2}%")
    z = s.line("三年期每年", "Three years, a year", f"{part} × {r3}%")
    s.line("第一年利息合计", "Interest in the first year", f"{x} + {y} + {z}")
    t.turn([f"利率分别是{r1}%、{r2}%、{r3}%，第一年能得多少利息？按单利算。"], [f"The rates are {r1}%, {r2}% and {r3}%. What does the first year earn, with simple interest?"], "", "", s)
    t.turn(["如果中途真的取出来，会亏本金吗？", "提前支取会损失什么？"], ["Would I lose principal if I had to break one?", "What do I lose by withdrawing early?"],
           ["一般不会损失本金，但提前支取的部分通常按活期计息，等于放弃了定期利息。可以只动用最先到期的那一份。", "损失的主要是利息：多数银行对提前支取部分改按活期利率计息。所以急用时先动快到期的那份，或问能否部分支取。"],
           ["Usually not principal, but the part withdrawn mostly earns only the demand rate, so the term interest is gone. Break the part that matures soonest.", "Mainly interest: most banks pay the demand rate on what is taken out early. Use the part that matures next, or ask for a partial withdrawal."])


@talk("savings", "reserve-first", "emergency-fund")
def reserve_first(t):
    spend, n = t.pick([4000, 5000, 6000, 7500]), t.pick([3, 4, 6])
    have, put = spend * t.pick([1, 2]), t.pick([1000, 1500, 2000])
    s = sheet()
    t.turn(["我刚开始存钱，应该先投资还是先备应急金？", "手上有点积蓄，可以全买基金吗？"], ["I am starting to save. Invest first or build a reserve?", "I have some savings. Can I put all of it into funds?"],
           ["先备应急金。它用来应付失业、看病和修理等意外，免得急用时被迫低价卖出投资。", "不建议全买。先留出几个月必要开支的活钱，再用长期不用的钱投资，心里也更稳。"],
           ["The reserve first. It covers job loss, illness or repairs, so that investments need not be sold at a bad time.", "Better not all. Keep some months of essential spending at hand and invest only what you will not need for long."])
    x = s.line("目标", "Target", f"{spend} × {n}")
    y = s.line("还差", "Missing", f"{x} − {have}")
    s.line("需要", "Time needed", f"{y} ÷ {put}", "month")
    t.turn([f"我每月必要开支{spend}元，想备{n}个月的，现在有{have}元，每月能存{put}元，要多久？"],
           [f"I need ${spend} a month, want {n} months of it, have ${have} and can save ${put} a month. How long?"], "", "", s)
    t.turn(["这笔钱放在哪里合适？", "应急金可以买股票吗？"], ["Where should this money be kept?", "May the reserve be in shares?"],
           ["放在随时能取、波动小的地方，例如活期或容易赎回的现金管理类产品。收益低一点没关系，它的任务是随时可用。", "不合适，股价可能恰好在你急用时下跌。应急金讲究随取随用，宁可收益低些。"],
           ["Where it can be drawn at any time and hardly moves, such as a demand deposit or an easily redeemed cash product. A low yield is fine; its job is to be there.", "No; prices may be down just when you need the money. A reserve must be ready, even at a low yield."])


@talk("pension", "start-now-or-later", "funded-pension")
def start_now(t):
    p, y = t.pick([500, 800, 1000, 1500]), t.pick([20, 25, 30])
    s, u = sheet(), sheet()
    x = s.line("现在开始", "Starting now", f"{p} × 12 × {y}")
    z = s.line("十年后开始", "Starting in ten years", f"{p} × 12 × ({y} − 10)")
    s.line("少存", "Less by", f"{x} − {z}")
    t.turn([f"我打算每月存{p}元养老，离退休还有{y}年。晚十年再开始会少存多少？先不算收益。"],
           [f"I plan to save ${p} a month for old age; retirement is {y} years away. How much less if I start ten years later, returns aside?"], "", "", s)
    u.line("每月要存", "Needed each month", f"{x} ÷ 12 ÷ ({y} − 10)")
    t.turn(["那晚十年开始，要想存到一样多，每月得存多少？", "如果晚开始还想达到同样数额呢？"], ["If I do start later, what must I save a month to reach the same sum?", "And to get to the same amount with the late start?"], "", "", u,
           "若把投资收益算进去，早存的钱滚得更久，差距还会更大。", "With returns the gap grows further, because early money works longer.")
    t.turn(["投资收益能算进去吗？比如每年一定有6%。", "我按每年稳定赚7%来规划行不行？"], ["May I count on 6% every year?", "Can I plan with a steady 7% a year?"],
           ["可以用几个假设情景来估算，但收益没有保证，年份之间会上下波动。建议用偏低的假设，并每隔几年复核。", "最好别当成确定的数。可以按低、中、高三种情形测算，再看最低的情形能否接受。"],
           ["You may test a few assumed rates, but returns are not certain and vary from year to year. Take a low assumption and review it every few years.", "Do not treat it as fixed. Try a low, a middle and a high case, and see whether you could live with the lowest."])


@talk("pension", "job-change", "vesting")
def job_change(t):
    own, firm, y, q = t.pick([12000, 18000, 24000]), t.pick([10000, 15000, 20000]), t.pick([2, 3]), 25
    s, u = sheet(), sheet()
    t.turn(["我要换工作了，企业年金里的钱归谁？", "离职的时候，单位替我存的养老钱能拿走吗？"], ["I am changing jobs. Who owns the money in the company pension?", "When I leave, may I take what the employer paid in?"],
           ["自己缴的部分一般归你；单位缴的部分要看归属规则，通常随工作年限逐步归属。请查看计划文件。", "取决于计划约定的归属比例：个人缴费通常全归本人，单位缴费按年限归属。"],
           ["Your own contributions normally stay yours. The employer's part follows the vesting rule, usually step by step with years of service. Check the plan document.", "It depends on the plan's vesting scale: own payments are usually yours, the employer's vest with time."])
    r = s.line("归属比例", "Vested share", f"{q}% × {y}", "percent")
    v = s.line("归属的单位缴费", "Vested employer money", f"{firm} × {r}%")
    s.line("可带走", "Taken along", f"{own} + {v}")
    t.turn([f"规则是每满一年归属{q}%，我满{y}年，个人缴了{own}元，单位缴了{firm}元。"], [f"The rule is {q}% per full year. I have {y}, with ${own} of my own and ${firm} from the firm."], "", "", s)
    u.line("多得", "Gain", f"{firm} × {q}%")
    t.turn(["如果我再干满一年再走，会多多少？不算新缴的钱。", "要是等明年再离职呢？先不计新增缴费。"], ["How much more if I stay one more year, new payments aside?", "And if I leave a year later, without counting new money?"],
           "归属比例会再加一档：", "The vested share rises one step:", u, "是否值得，还要和新工作的收入一起比较。", "Weigh that against the income of the new job.")
